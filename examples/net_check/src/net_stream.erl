%% gen_tcp.
-module(net_stream).

-export([steps/0]).

-define(SELF4, {127, 0, 0, 1}).
-define(SELF6, {0, 0, 0, 0, 0, 0, 0, 1}).

steps() ->
    [{lists:concat([Name, " ", Family]), fun() -> Step(Family) end}
     || Family <- [inet, inet6], {Name, Step} <- each_family()] ++ once().

each_family() ->
    [{"echo", fun echo/1},
     {"addresses", fun addresses/1},
     {"options", fun options/1},
     {"socket options", fun socket_options/1},
     {"packet of four", fun packet/1},
     {"lines", fun lines/1},
     {"active once", fun active_once/1},
     {"half-close", fun half_close/1},
     {"half-close of an active socket", fun half_close_active/1},
     {"refused", fun refused/1},
     {"closed", fun closed/1},
     {"linger for no time", fun linger_reset/1},
     {"linger", fun linger/1},
     {"send time-out", fun send_timeout/1},
     {"accept time-out", fun accept_timeout/1},
     {"receive time-out", fun receive_timeout/1},
     {"backlog", fun backlog/1},
     {"delayed send", fun delay_send/1},
     {"address in use", fun in_use/1},
     {"reuse of an address", fun reuse/1}].

once() ->
    [{"both families on one port", fun dual/0},
     {"only IPv6", fun only6/0},
     {"raw options", fun raw_options/0},
     {"file descriptor of a socket handed over", fun controlling/0},
     {"a megabyte", fun megabyte/0},
     {"addresses of others", fun others/0}].

self_address(inet) -> ?SELF4;
self_address(inet6) -> ?SELF6.

listen(Family, Options) ->
    Own = self_address(Family),
    {ok, Listener} = gen_tcp:listen(0, [Family, binary, {ip, Own}, {active, false} | Options]),
    {ok, Port} = inet:port(Listener),
    {Listener, Port}.

pair(Family, ClientOptions, ServerOptions) ->
    {Listener, Port} = listen(Family, ServerOptions),
    Options = [Family, binary, {active, false} | ClientOptions],
    {ok, Client} = gen_tcp:connect(self_address(Family), Port, Options, 5000),
    {ok, Server} = gen_tcp:accept(Listener, 5000),
    ok = gen_tcp:close(Listener),
    {Client, Server}.

echo(Family) ->
    {Client, Server} = pair(Family, [], []),
    ok = gen_tcp:send(Client, <<"hello">>),
    {ok, Bytes} = gen_tcp:recv(Server, 5, 5000),
    ok = gen_tcp:send(Server, [Bytes, <<" you">>]),
    gen_tcp:recv(Client, 9, 5000).

addresses(Family) ->
    {Client, Server} = pair(Family, [], []),
    {ok, {Own, _} = Name} = inet:sockname(Client),
    {Own, inet:peername(Server) =:= {ok, Name}, inet:sockname(Server) =:= inet:peername(Client)}.

options(Family) ->
    Given = [{nodelay, true}, {keepalive, true}, {reuseaddr, true}, {linger, {true, 3}},
             {priority, 4}, {send_timeout, 1000}, {send_timeout_close, true}, {delay_send, true},
             {exit_on_close, false}, {high_watermark, 9000}, {low_watermark, 3000},
             {packet_size, 77}, {show_econnreset, true}, {buffer, 5000}, {deliver, term}],
    {Client, _} = pair(Family, Given, []),
    {inet:getopts(Client, [Name || {Name, _} <- Given]),
     inet:setopts(Client, [{nodelay, false}, {linger, {false, 0}}]),
     inet:getopts(Client, [nodelay, linger])}.

socket_options(Family) ->
    {Client, _} = pair(Family, [{recbuf, 20000}, {sndbuf, 30000}], []),
    Own = case Family of inet -> [{tos, 16}, {ttl, 33}, {recvtos, true}, {recvttl, true}];
                         inet6 -> [{tclass, 16}, {recvtclass, true}, {recvhoplimit, true}]
          end,
    Set = [{Name, inet:setopts(Client, [Option])} || {Name, _} = Option <- Own],
    {Set, inet:getopts(Client, [Name || {Name, _} <- Own]), inet:getopts(Client, [recbuf, sndbuf])}.

packet(Family) ->
    {Client, Server} = pair(Family, [{packet, 4}], [{packet, 4}]),
    [ok = gen_tcp:send(Client, lists:duplicate(N, N rem 256)) || N <- [0, 1, 70000]],
    [begin {ok, Bytes} = gen_tcp:recv(Server, 0, 5000), byte_size(Bytes) end || _ <- [1, 2, 3]].

lines(Family) ->
    {Client, Server} = pair(Family, [], [{packet, line}]),
    ok = gen_tcp:send(Client, "one\ntwo\nrest"),
    ok = gen_tcp:shutdown(Client, write),
    [gen_tcp:recv(Server, 0, 5000) || _ <- [1, 2, 3, 4]].

active_once(Family) ->
    {Client, Server} = pair(Family, [], []),
    ok = inet:setopts(Server, [{active, once}]),
    ok = gen_tcp:send(Client, "first"),
    First = receive {tcp, Server, Bytes} -> Bytes after 5000 -> none end,
    {ok, [{active, Active}]} = inet:getopts(Server, [active]),
    ok = inet:setopts(Server, [{active, true}]),
    ok = gen_tcp:close(Client),
    Last = receive {tcp_closed, Server} -> closed after 5000 -> none end,
    {First, Active, Last}.

half_close(Family) ->
    {Client, Server} = pair(Family, [], [{exit_on_close, false}]),
    ok = gen_tcp:send(Client, "question"),
    ok = gen_tcp:shutdown(Client, write),
    {ok, Question} = gen_tcp:recv(Server, 0, 5000),
    End = gen_tcp:recv(Server, 0, 5000),
    Sent = gen_tcp:send(Server, "answer"),
    Answer = gen_tcp:recv(Client, 0, 5000),
    {Question, End, Sent, Answer, gen_tcp:send(Client, "more")}.

half_close_active(Family) ->
    {Client, Server} = pair(Family, [], [{exit_on_close, false}]),
    ok = inet:setopts(Server, [{active, true}]),
    ok = gen_tcp:shutdown(Client, write),
    Closed = receive {tcp_closed, Server} -> true after 5000 -> false end,
    {Closed, gen_tcp:send(Server, "late"), gen_tcp:recv(Client, 4, 5000)}.

refused(Family) ->
    {Listener, Port} = listen(Family, []),
    ok = gen_tcp:close(Listener),
    gen_tcp:connect(self_address(Family), Port, [Family], 5000).

closed(Family) ->
    {Client, Server} = pair(Family, [], []),
    ok = gen_tcp:close(Server),
    Received = gen_tcp:recv(Client, 0, 5000),
    ok = gen_tcp:close(Client),
    {Received, gen_tcp:send(Client, "x"), gen_tcp:recv(Client, 0), inet:peername(Client)}.

linger_reset(Family) ->
    {Client, Server} = pair(Family, [{linger, {true, 0}}], [{show_econnreset, true}]),
    ok = gen_tcp:close(Client),
    gen_tcp:recv(Server, 0, 5000).

linger(Family) ->
    {Client, Server} = pair(Family, [{linger, {true, 5}}], []),
    ok = gen_tcp:send(Client, binary:copy(<<"x">>, 100000)),
    Parent = self(),
    spawn_link(fun() -> Parent ! {received, drain(Server, 0)} end),
    Closed = gen_tcp:close(Client),
    {Closed, receive {received, Count} -> Count after 10000 -> none end}.

drain(Socket, Count) ->
    case gen_tcp:recv(Socket, 0, 5000) of
        {ok, Bytes} -> drain(Socket, Count + byte_size(Bytes));
        {error, closed} -> Count
    end.

send_timeout(Family) ->
    {Client, _Server} = pair(Family, [{send_timeout, 200}, {sndbuf, 8192}], [{recbuf, 8192}]),
    send_until_error(Client, binary:copy(<<"x">>, 65536)).

send_until_error(Socket, Bytes) ->
    case gen_tcp:send(Socket, Bytes) of
        ok -> send_until_error(Socket, Bytes);
        Error -> Error
    end.

accept_timeout(Family) ->
    {Listener, _} = listen(Family, []),
    gen_tcp:accept(Listener, 100).

receive_timeout(Family) ->
    {Client, _Server} = pair(Family, [], []),
    gen_tcp:recv(Client, 0, 100).

%% Connections are established before anybody accepts them.
backlog(Family) ->
    {Listener, Port} = listen(Family, [{backlog, 3}]),
    Connect = fun() -> gen_tcp:connect(self_address(Family), Port, [Family], 5000) end,
    Clients = [Connect() || _ <- [1, 2, 3]],
    Accepted = [gen_tcp:accept(Listener, 5000) || _ <- Clients],
    {[element(1, Client) || Client <- Clients], [element(1, Server) || Server <- Accepted]}.

delay_send(Family) ->
    {Client, Server} = pair(Family, [{delay_send, true}, {nodelay, true}], []),
    [ok = gen_tcp:send(Client, [N]) || N <- "many small pieces"],
    gen_tcp:recv(Server, 17, 5000).

in_use(Family) ->
    {_Listener, Port} = listen(Family, []),
    gen_tcp:listen(Port, [Family, {ip, self_address(Family)}]).

reuse(Family) ->
    {Listener, Port} = listen(Family, [{reuseaddr, true}]),
    {ok, Client} = gen_tcp:connect(self_address(Family), Port, [Family, {active, false}]),
    {ok, Server} = gen_tcp:accept(Listener),
    ok = gen_tcp:close(Server),
    ok = gen_tcp:close(Listener),
    {error, closed} = gen_tcp:recv(Client, 0, 5000),
    ok = gen_tcp:close(Client),
    Again = gen_tcp:listen(Port, [Family, {ip, self_address(Family)}, {reuseaddr, true}]),
    element(1, Again).

dual() ->
    {ok, Listener} = gen_tcp:listen(0, [inet6, {ipv6_v6only, false}, {active, false}]),
    {ok, Port} = inet:port(Listener),
    [begin
         {ok, _} = gen_tcp:connect(Own, Port, [Family]),
         {ok, Server} = gen_tcp:accept(Listener, 5000),
         {ok, {Peer, _}} = inet:peername(Server),
         Peer
     end || {Family, Own} <- [{inet, ?SELF4}, {inet6, ?SELF6}]].

only6() ->
    {ok, Listener} = gen_tcp:listen(0, [inet6, {ipv6_v6only, true}]),
    {ok, Port} = inet:port(Listener),
    {ok, Other} = gen_tcp:listen(Port, [inet]),
    {inet:getopts(Listener, [ipv6_v6only]), gen_tcp:close(Other),
     gen_tcp:connect(?SELF4, Port, [inet]),
     element(1, gen_tcp:connect(?SELF6, Port, [inet6]))}.

%% tcp(7): keep-alive times, user time-out, and the first byte of TCP_INFO (established).
raw_options() ->
    {Client, _Server} = pair(inet, [], []),
    Numbers = [{4, 11}, {5, 12}, {6, 3}, {18, 4000}],
    ok = inet:setopts(Client, [{raw, 6, Name, <<Value:32/native>>} || {Name, Value} <- Numbers]),
    {ok, Values} = inet:getopts(Client, [{raw, 6, Name, 4} || {Name, _} <- Numbers]),
    {ok, [{raw, 6, 11, <<State, _/binary>>}]} = inet:getopts(Client, [{raw, 6, 11, 104}]),
    {[Value || {raw, 6, _, <<Value:32/native>>} <- Values], State}.

controlling() ->
    {Client, Server} = pair(inet, [], []),
    Parent = self(),
    Pid = spawn_link(fun() ->
        receive go -> ok end,
        Parent ! {got, gen_tcp:recv(Server, 2, 5000)}
    end),
    ok = gen_tcp:controlling_process(Server, Pid),
    Pid ! go,
    ok = gen_tcp:send(Client, "hi"),
    receive {got, Result} -> Result end.

megabyte() ->
    {Client, Server} = pair(inet6, [], []),
    Data = binary:copy(<<0:8, 1:8, 2:8, 3:8>>, 1 bsl 18),
    spawn_link(fun() -> ok = gen_tcp:send(Client, Data), receive stop -> ok end end),
    {ok, Received} = gen_tcp:recv(Server, byte_size(Data), 30000),
    Received =:= Data.

others() ->
    [gen_tcp:listen(0, [inet, {ip, {192, 0, 2, 1}}]),
     gen_tcp:listen(0, [inet6, {ip, {16#fe80, 0, 0, 0, 0, 0, 0, 1}}]),
     gen_tcp:listen(0, [inet6, {ip, {16#2001, 16#db8, 0, 0, 0, 0, 0, 1}}])].
