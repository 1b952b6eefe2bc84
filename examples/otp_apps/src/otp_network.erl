%% ssl, ssh and inets, each with itself over 127.0.0.1.
-module(otp_network).

-export([all/0]).
%% Pages of the web server.
-export([do/1]).

-include_lib("inets/include/httpd.hrl").

-define(PATIENCE, 60000).
-define(HOST, {127, 0, 0, 1}).

all() ->
    [{"ssl: TLS 1.3, ALPN, both sides verified", fun() -> tls('tlsv1.3') end},
     {"ssl: TLS 1.2, ALPN, both sides verified", fun() -> tls('tlsv1.2') end},
     {"ssl: a session is resumed", fun resume/0},
     {"ssl: a stranger is refused", fun stranger/0},
     {"inets: pages over HTTP", fun http/0},
     {"inets: pages over HTTPS", fun https/0},
     {"ssh: commands", fun ssh_exec/0},
     {"ssh: a wrong password is refused", fun ssh_refuses/0},
     {"ssh: files", fun sftp/0}].

listen(Options) ->
    {ok, Listener} = ssl:listen(0, [binary, {active, false}, {ip, ?HOST}, {reuseaddr, true} | Options]),
    {ok, {_, Port}} = ssl:sockname(Listener),
    {Listener, Port}.

%% Sends back `Size` bytes of each of `Count` connections.
echo(Listener, Count, Size) ->
    spawn_link(fun() -> [echo(Listener, Size) || _ <- lists:seq(1, Count)] end).

echo(Listener, Size) ->
    {ok, Accepted} = ssl:transport_accept(Listener),
    case ssl:handshake(Accepted, ?PATIENCE) of
        {ok, Socket} ->
            {ok, Bytes} = ssl:recv(Socket, Size, ?PATIENCE),
            ok = ssl:send(Socket, Bytes),
            ssl:close(Socket);
        {error, _} -> refused
    end.

connect(Port, Options) ->
    Name = [{server_name_indication, "localhost"}, {verify, verify_peer}],
    ssl:connect(?HOST, Port, [binary, {active, false} | Name ++ Options], ?PATIENCE).

tls(Version) ->
    {Server, Client} = otp_keys:tls(),
    Common = [{versions, [Version]}],
    Verifying = [{verify, verify_peer}, {fail_if_no_peer_cert, true},
                 {alpn_preferred_protocols, [<<"h2">>, <<"http/1.1">>]}],
    {Listener, Port} = listen(Common ++ Verifying ++ Server),
    Bytes = binary:copy(<<"0123456789abcdef">>, 1 bsl 13),
    echo(Listener, 1, byte_size(Bytes)),
    {ok, Socket} = connect(Port, Common ++ [{alpn_advertised_protocols, [<<"http/1.1">>]} | Client]),
    {ok, [{protocol, Protocol}]} = ssl:connection_information(Socket, [protocol]),
    Alpn = ssl:negotiated_protocol(Socket),
    ok = ssl:send(Socket, Bytes),
    {ok, Back} = ssl:recv(Socket, byte_size(Bytes), ?PATIENCE),
    End = ssl:recv(Socket, 0, ?PATIENCE),
    ssl:close(Listener),
    {Protocol, Alpn, Back =:= Bytes, End}.

resume() ->
    {Server, Client} = otp_keys:tls(),
    {Listener, Port} = listen([{versions, ['tlsv1.3']}, {session_tickets, stateless} | Server]),
    echo(Listener, 2, 1),
    Once = fun() ->
        {ok, Socket} = connect(Port, [{versions, ['tlsv1.3']}, {session_tickets, auto} | Client]),
        ok = ssl:send(Socket, <<"x">>),
        {ok, <<"x">>} = ssl:recv(Socket, 1, ?PATIENCE),
        {ok, [{session_resumption, Resumed}]} = ssl:connection_information(Socket, [session_resumption]),
        {error, closed} = ssl:recv(Socket, 0, ?PATIENCE),
        Resumed
    end,
    Result = [Once(), Once()],
    ssl:close(Listener),
    Result.

stranger() ->
    {Server, _} = otp_keys:tls(),
    {_, Client} = otp_keys:tls(),
    {Listener, Port} = listen([{log_level, none} | Server]),
    echo(Listener, 1, 1),
    {error, {tls_alert, {Alert, _}}} = connect(Port, [{log_level, none} | Client]),
    ssl:close(Listener),
    Alert.

do(#mod{request_uri = "/hello", method = Method, entity_body = Body}) ->
    respond(200, [Method, " ", Body]);
do(#mod{request_uri = "/big"}) ->
    respond(200, lists:duplicate(300000, $x));
do(_) ->
    respond(404, "nothing here").

respond(Code, Body) ->
    Text = lists:flatten(Body),
    {proceed, [{response, {response, [{code, Code}, {content_length, integer_to_list(length(Text))}], Text}}]}.

http() -> web("http", [], []).

https() ->
    {Server, Client} = otp_keys:tls(),
    Options = [{verify, verify_peer}, {server_name_indication, "localhost"} | Client],
    web("https", [{socket_type, {ssl, Server}}], [{ssl, Options}]).

web(Scheme, Service, Options) ->
    Directory = otp_check:scratch("www"),
    Config = [{port, 0}, {bind_address, ?HOST}, {server_name, "otp_apps"}, {server_root, Directory},
              {document_root, Directory}, {modules, [?MODULE]} | Service],
    {ok, Server} = inets:start(httpd, Config),
    [{port, Port}] = httpd:info(Server, [port]),
    Url = fun(Path) -> lists:concat([Scheme, "://127.0.0.1:", Port, Path]) end,
    Get = fun(Method, Request) ->
        {ok, {{_, Code, _}, _, Body}} = httpc:request(Method, Request, Options, [{body_format, binary}]),
        {Code, erlang:md5(Body), byte_size(Body)}
    end,
    Result = [Get(get, {Url("/hello"), []}), Get(get, {Url("/big"), []}), Get(get, {Url("/none"), []}),
              Get(post, {Url("/hello"), [], "text/plain", <<"a body">>})],
    ok = inets:stop(httpd, Server),
    ok = file:del_dir_r(Directory),
    [{Code, Size} || {Code, _, Size} <- Result].

%% An SSH daemon and how to connect to it, for `Check`.
with_daemon(Check) ->
    Directory = otp_check:scratch("ssh"),
    ok = otp_keys:write_host_key(Directory),
    {ok, Daemon} = ssh:daemon(?HOST, 0, otp_serve:ssh_options(Directory)),
    {ok, Info} = ssh:daemon_info(Daemon),
    Connect = fun(Password) ->
        ssh:connect(?HOST, proplists:get_value(port, Info),
                    [{user, "guest"}, {password, Password}, {user_dir, Directory}, {user_interaction, false},
                     {silently_accept_hosts, true}, {save_accepted_host, false}], ?PATIENCE)
    end,
    try Check(Connect)
    after ok = ssh:stop_daemon(Daemon),
          ok = file:del_dir_r(Directory)
    end.

ssh_exec() ->
    with_daemon(fun(Connect) ->
        {ok, Connection} = Connect("secret"),
        Result = [exec(Connection, Command) || Command <- ["1 + 41.", "lists:reverse([a, b])."]],
        ok = ssh:close(Connection),
        Result
    end).

exec(Connection, Command) ->
    {ok, Channel} = ssh_connection:session_channel(Connection, ?PATIENCE),
    success = ssh_connection:exec(Connection, Channel, Command, ?PATIENCE),
    collect(Connection, Channel, []).

collect(Connection, Channel, Said) ->
    receive
        {ssh_cm, Connection, {data, Channel, _, Text}} -> collect(Connection, Channel, [Said, Text]);
        {ssh_cm, Connection, {exit_status, Channel, Status}} ->
            {Status, collect(Connection, Channel, Said)};
        {ssh_cm, Connection, {closed, Channel}} -> iolist_to_binary(Said);
        {ssh_cm, Connection, {eof, Channel}} -> collect(Connection, Channel, Said)
    after ?PATIENCE -> timeout
    end.

ssh_refuses() ->
    with_daemon(fun(Connect) -> element(1, Connect("wrong")) end).

sftp() ->
    Directory = otp_check:scratch("sftp"),
    Result = with_daemon(fun(Connect) ->
        {ok, Connection} = Connect("secret"),
        {ok, Channel} = ssh_sftp:start_channel(Connection),
        {Name, Bytes} = {filename:join(Directory, "file"), binary:copy(<<"bytes">>, 20000)},
        ok = ssh_sftp:write_file(Channel, Name, Bytes),
        {ok, Back} = ssh_sftp:read_file(Channel, Name),
        {ok, Names} = ssh_sftp:list_dir(Channel, Directory),
        Missing = ssh_sftp:read_file(Channel, Name ++ "2"),
        ok = ssh:close(Connection),
        {Back =:= Bytes, lists:sort(Names), Missing, filelib:file_size(Name)}
    end),
    ok = file:del_dir_r(Directory),
    Result.
