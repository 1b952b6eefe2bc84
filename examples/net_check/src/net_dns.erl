%% Names: a name server of our own, asked by `inet_res`; and how names are looked up in general.
-module(net_dns).

-export([steps/0, start/2]).

-define(SELF4, {127, 0, 0, 1}).
%% Response codes (RFC 1035 section 4.1.1).
-define(NO_ERROR, 0).
-define(NO_SUCH_NAME, 3).

steps() ->
    [{"inet_res " ++ Name, fun() -> ask(Domain, Type) end}
     || {Name, Domain, Type} <- [{"address", "four.test", a}, {"IPv6 address", "six.test", aaaa},
                                 {"text", "text.test", txt}, {"service", "service.test", srv},
                                 {"missing", "missing.test", a}]] ++
    [{"inet_res by TCP", fun() -> ask("long.test", txt) end},
     {"inet_res by IPv6", fun() -> ask({0, 0, 0, 0, 0, 0, 0, 1}, "four.test", a) end},
     {"numeric names", fun numeric/0},
     {"localhost", fun localhost/0}].

ask(Domain, Type) ->
    ask(?SELF4, Domain, Type).

ask(Address, Domain, Type) ->
    Port = start(Address, 0),
    Options = [{nameservers, [{Address, Port}]}, {timeout, 5000}],
    case inet_res:resolve(Domain, in, Type, Options, 10000) of
        {ok, Message} -> [data(Record) || Record <- inet_dns:msg(Message, anlist)];
        {error, {Reason, _}} -> {error, Reason};
        Error -> Error
    end.

data(Record) ->
    {inet_dns:rr(Record, type), shorten(inet_dns:rr(Record, data))}.

shorten([Text | _] = Texts) when is_list(Text) -> {length(Texts), lists:sum([length(T) || T <- Texts])};
shorten(Data) -> Data.

numeric() ->
    [inet:parse_address(Text) || Text <- ["127.0.0.1", "::1", "fe80::1%1", "300.1.1.1"]]
    ++ [inet:getaddr("127.0.0.1", inet), inet:getaddr("::1", inet6), inet:getaddr({10, 0, 0, 1}, inet)].

localhost() ->
    inet:getaddr("localhost", inet).

%% Starts a name server for the calling process; gives its port.
start(Address, Wanted) ->
    Family = case tuple_size(Address) of 4 -> inet; 8 -> inet6 end,
    Parent = self(),
    spawn_link(fun() ->
        Options = [Family, binary, {ip, Address}, {active, true}, {reuseaddr, true}],
        {ok, Udp} = gen_udp:open(Wanted, Options),
        {ok, Port} = inet:port(Udp),
        {ok, Listener} = gen_tcp:listen(Port, [{packet, 2} | lists:keydelete(active, 1, Options)]),
        Server = self(),
        spawn_link(fun() -> serve_streams(Listener, Server) end),
        Parent ! {self(), Port},
        serve(Udp)
    end),
    receive {_, Port} when is_integer(Port) -> Port after 10000 -> exit(no_name_server) end.

serve(Udp) ->
    receive
        {udp, Udp, From, Port, Bytes} ->
            Answer = answer(Bytes),
            Fitting = case byte_size(Answer) > 512 of true -> truncate(Bytes); false -> Answer end,
            ok = gen_udp:send(Udp, From, Port, Fitting),
            serve(Udp)
    end.

serve_streams(Listener, Server) ->
    {ok, Stream} = gen_tcp:accept(Listener),
    receive after 0 -> ok end,
    receive {tcp, Stream, Bytes} -> ok = gen_tcp:send(Stream, answer(Bytes)) after 10000 -> ok end,
    serve_streams(Listener, Server).

truncate(Bytes) ->
    {ok, Query} = inet_dns:decode(Bytes),
    inet_dns:encode(reply(Query, true, 0, [])).

answer(Bytes) ->
    {ok, Query} = inet_dns:decode(Bytes),
    [Question] = inet_dns:msg(Query, qdlist),
    {Domain, Type} = {inet_dns:dns_query(Question, domain), inet_dns:dns_query(Question, type)},
    Name = string:lowercase(Domain),
    Records = [inet_dns:make_rr([{domain, Domain}, {type, Type}, {class, in}, {ttl, 60}, {data, Data}])
               || {N, T, Data} <- zone(), N =:= Name, T =:= Type],
    Known = lists:keymember(Name, 1, zone()),
    Code = case Known of true -> ?NO_ERROR; false -> ?NO_SUCH_NAME end,
    inet_dns:encode(reply(Query, false, Code, Records)).

%% The answer to a query: its header and question, and what was found.
reply(Query, Truncated, Code, Records) ->
    Header = inet_dns:make_header(inet_dns:msg(Query, header),
                                  [{qr, true}, {aa, true}, {ra, true}, {tc, Truncated}, {rcode, Code}]),
    inet_dns:make_msg([{header, Header}, {qdlist, inet_dns:msg(Query, qdlist)}, {anlist, Records}]).

zone() ->
    [{"four.test", a, {192, 0, 2, 4}},
     {"six.test", aaaa, {16#2001, 16#db8, 0, 0, 0, 0, 0, 6}},
     {"text.test", txt, ["some", "words"]},
     {"service.test", srv, {1, 2, 8080, "four.test"}},
     {"long.test", txt, [lists:duplicate(200, $x) || _ <- lists:seq(1, 5)]}].
