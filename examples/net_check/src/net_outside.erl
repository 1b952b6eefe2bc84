%% Steps that need the boot test's world: echo servers on the host, name servers by the command
%% line, routers that advertise. They run if NET_CHECK is "TCP4,TCP6,UDP4" (ports on the host).
-module(net_outside).

-export([steps/1, serve/0]).

%% The host as QEMU's user network shows it.
-define(HOST4, {10, 0, 2, 2}).
-define(HOST6, {16#fec0, 0, 0, 0, 0, 0, 0, 2}).

steps(false) ->
    [];
steps(Text) ->
    [Tcp4, Tcp6, Udp4] = [list_to_integer(Port) || Port <- string:lexemes(Text, ",")],
    [{"outside: addresses", fun addresses/0},
     {"outside: TCP by IPv4", fun() -> echo(inet, ?HOST4, Tcp4) end},
     {"outside: TCP by IPv6", fun() -> echo(inet6, ?HOST6, Tcp6) end},
     {"outside: datagrams of each length", fun() -> datagrams(Udp4) end},
     {"outside: refused", fun() -> refused() end},
     {"outside: group by the card", fun group/0},
     {"outside: group of IPv6 by the card", fun group6/0},
     {"outside: names", fun names/0}].

%% Routers take their time.
addresses() ->
    {ok, All} = inet:getifaddrs(),
    {"eth0", Facts} = lists:keyfind("eth0", 1, All),
    Addresses = proplists:get_all_values(addr, Facts),
    case [A || A <- Addresses, element(1, A) =:= 16#fec0] of
        [_] ->
            [lists:sort(proplists:get_value(flags, Facts)), length(proplists:get_value(hwaddr, Facts)),
             lists:sort(Addresses)];
        [] ->
            receive after 100 -> addresses() end
    end.

echo(Family, Host, Port) ->
    {ok, Socket} = gen_tcp:connect(Host, Port, [Family, binary, {active, false}], 10000),
    Data = binary:copy(<<"0123456789">>, 20000),
    spawn_link(fun() -> ok = gen_tcp:send(Socket, Data), ok = gen_tcp:shutdown(Socket, write) end),
    {ok, Back} = gen_tcp:recv(Socket, byte_size(Data), 30000),
    {Back =:= Data, gen_tcp:recv(Socket, 0, 10000)}.

%% Those above 1472 bytes travel in parts.
datagrams(Port) ->
    {ok, Socket} = gen_udp:open(0, [inet, binary, {active, false}, {buffer, 70000}]),
    [begin
         Data = binary:copy(<<"x">>, Length),
         ok = gen_udp:send(Socket, ?HOST4, Port, Data),
         {ok, {?HOST4, Port, Back}} = gen_udp:recv(Socket, 0, 10000),
         {Length, Back =:= Data}
     end || Length <- [1, 1472, 1473, 4000, 9000]].

refused() ->
    gen_tcp:connect(?HOST4, 1, [inet], 10000).

group() ->
    Group = {239, 8, 8, 8},
    {ok, Member} = gen_udp:open(0, [inet, binary, {active, false}, {add_membership, {Group, {0, 0, 0, 0}}}]),
    {ok, Port} = inet:port(Member),
    ok = gen_udp:send(Member, Group, Port, "all"),
    {ok, {_, Port, Bytes}} = gen_udp:recv(Member, 0, 5000),
    Bytes.

group6() ->
    {ok, Index} = net:if_name2index("eth0"),
    Group = {16#ff02, 0, 0, 0, 0, 0, 8, 8},
    {ok, Member} = socket:open(inet6, dgram, udp),
    ok = socket:bind(Member, #{family => inet6, addr => any, port => 0}),
    ok = socket:setopt(Member, {ipv6, add_membership}, #{multiaddr => Group, interface => Index}),
    {ok, #{port := Port}} = socket:sockname(Member),
    To = #{family => inet6, addr => Group, port => Port, scope_id => Index, flowinfo => 0},
    ok = socket:sendto(Member, <<"all">>, To),
    {ok, {#{addr := From, scope_id := Scope}, Bytes}} = socket:recvfrom(Member, 0, 5000),
    {element(1, From), Scope, Bytes}.

%% resolv.conf names 127.0.0.1, as the kernel's command line said: by the system's resolver, in
%% general, and by inet_res.
names() ->
    53 = net_dns:start({127, 0, 0, 1}, 53),
    [inet_gethost_native:gethostbyname("four.test", inet),
     inet:getaddr("six.test", inet6),
     inet:gethostbyname("missing.test"),
     inet_db:res_option(nameservers),
     inet_res:lookup("four.test", in, a)].

%% Sends back every line that comes to port 7 by either family, until one says that it is over.
serve() ->
    {ok, Listener} = gen_tcp:listen(7, [inet6, {ipv6_v6only, false}, {packet, line}, {active, false},
                                        {reuseaddr, true}]),
    io:format("net: serving~n"),
    serve(Listener).

serve(Listener) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    case serve_lines(Socket) of
        over -> over;
        closed -> serve(Listener)
    end.

serve_lines(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, "over\n"} -> over;
        {ok, Line} -> ok = gen_tcp:send(Socket, Line), serve_lines(Socket);
        {error, closed} -> closed
    end.
