%% Services for clients outside; the host's tests know the ports:
%%
%%   4433   TLS: sends back what it gets, with the protocol and ALPN of the connection in front
%%   8443   HTTPS: versions at `/`, `/connect` makes a TLS connection to the port in its query,
%%          `/stop` ends the release
%%   2222   SSH: user `guest`, password `secret`, a shell, commands and files
%%
%% Key and certificate are in the directory that CERTIFICATES names.
-module(otp_serve).

-export([run/0, ssh_options/1]).
%% Pages of the web server.
-export([do/1]).

-include_lib("inets/include/httpd.hrl").

-define(TLS_PORT, 4433).
-define(HTTPS_PORT, 8443).
-define(SSH_PORT, 2222).
-define(PATIENCE, 60000).

run() ->
    Directory = otp_check:scratch("serve"),
    ok = otp_keys:write_host_key(Directory),
    {ok, _} = ssh:daemon(any, ?SSH_PORT, ssh_options(Directory)),
    {ok, _} = inets:start(httpd, [{port, ?HTTPS_PORT}, {bind_address, any}, {server_name, "otp_apps"},
                                  {server_root, Directory}, {document_root, Directory},
                                  {socket_type, {ssl, certificates()}}, {modules, [?MODULE]}]),
    Alpn = [{alpn_preferred_protocols, [<<"echo">>, <<"http/1.1">>]}],
    {ok, Listener} = ssl:listen(?TLS_PORT, [binary, {active, false}, {reuseaddr, true} | Alpn ++ certificates()]),
    io:format("otp_apps: serving~n"),
    accept(Listener).

certificates() ->
    At = fun(Name) -> filename:join(os:getenv("CERTIFICATES"), Name) end,
    [{certfile, At("cert.pem")}, {keyfile, At("key.pem")}, {cacertfile, At("ca.pem")}].

%% Options of an SSH daemon with its keys in `Directory`.
ssh_options(Directory) ->
    [{system_dir, Directory}, {user_dir, Directory}, {user_passwords, [{"guest", "secret"}]},
     {subsystems, [ssh_sftpd:subsystem_spec([])]}].

accept(Listener) ->
    {ok, Accepted} = ssl:transport_accept(Listener),
    Worker = spawn(fun() -> receive go -> echo(Accepted) end end),
    ok = ssl:controlling_process(Accepted, Worker),
    Worker ! go,
    accept(Listener).

echo(Accepted) ->
    {ok, Socket} = ssl:handshake(Accepted, ?PATIENCE),
    {ok, [{protocol, Protocol}]} = ssl:connection_information(Socket, [protocol]),
    ok = ssl:send(Socket, io_lib:format("~p ~p~n", [Protocol, ssl:negotiated_protocol(Socket)])),
    repeat(Socket).

repeat(Socket) ->
    case ssl:recv(Socket, 0) of
        {ok, Bytes} -> ok = ssl:send(Socket, Bytes), repeat(Socket);
        {error, closed} -> ok
    end.

do(#mod{request_uri = Uri}) ->
    #{path := Path} = Parts = uri_string:parse(Uri),
    {Code, Body} = page(Path, maps:from_list(uri_string:dissect_query(maps:get(query, Parts, "")))),
    {proceed, [{response, {Code, lists:flatten(Body)}}]}.

page("/", _) ->
    {200, ["OTP ", erlang:system_info(otp_release), " over TLS\n"]};
page("/connect", #{"host" := Host, "port" := Port, "version" := Version}) ->
    {200, io_lib:format("~0p~n", [say_hello(Host, list_to_integer(Port), list_to_atom(Version))])};
page("/stop", _) ->
    init:stop(0),
    {200, "stopping\n"};
page(_, _) ->
    {404, "nothing here\n"}.

%% As a client: one line each way.
say_hello(Host, Port, Version) ->
    {ok, Address} = inet:parse_address(Host),
    Options = [binary, {active, false}, {packet, line}, {verify, verify_peer}, {versions, [Version]},
               {server_name_indication, "localhost"}, {alpn_advertised_protocols, [<<"echo">>]}],
    case ssl:connect(Address, Port, Options ++ certificates(), ?PATIENCE) of
        {ok, Socket} ->
            ok = ssl:send(Socket, <<"hello\n">>),
            Answer = ssl:recv(Socket, 0, ?PATIENCE),
            Alpn = ssl:negotiated_protocol(Socket),
            ssl:close(Socket),
            {Answer, Alpn};
        Error -> Error
    end.
