%% gen_udp.
-module(net_datagram).

-export([steps/0]).

-define(SELF4, {127, 0, 0, 1}).
-define(SELF6, {0, 0, 0, 0, 0, 0, 0, 1}).
-define(GROUP, {239, 7, 7, 7}).

steps() ->
    [{lists:concat(["datagram ", Name, " ", Family]), fun() -> Step(Family) end}
     || Family <- [inet, inet6], {Name, Step} <- each_family()] ++ once().

each_family() ->
    [{"both ways", fun both_ways/1},
     {"of each length", fun lengths/1},
     {"to an active socket", fun active/1},
     {"options", fun options/1},
     {"to a closed port", fun closed_port/1},
     {"from others than the peer", fun connected/1},
     {"that does not come", fun timeout/1},
     {"with its hop limit", fun ancillary/1},
     {"with a class of its own", fun own_class/1}].

once() ->
    [{"group", fun group/0},
     {"group options", fun group_options/0},
     {"group left", fun group_left/0},
     {"broadcast without permission", fun broadcast/0},
     {"many datagrams", fun many/0}].

self_address(inet) -> ?SELF4;
self_address(inet6) -> ?SELF6.

open(Family, Options) ->
    Own = self_address(Family),
    {ok, Socket} = gen_udp:open(0, [Family, binary, {ip, Own}, {active, false} | Options]),
    {ok, Port} = inet:port(Socket),
    {Socket, Port}.

both_ways(Family) ->
    {A, _} = open(Family, []),
    {B, Port} = open(Family, []),
    ok = gen_udp:send(A, self_address(Family), Port, "question"),
    {ok, {From, FromPort, Question}} = gen_udp:recv(B, 0, 5000),
    ok = gen_udp:send(B, {From, FromPort}, "answer"),
    {ok, {_, _, Answer}} = gen_udp:recv(A, 0, 5000),
    {From, Question, Answer}.

lengths(Family) ->
    {A, _} = open(Family, []),
    {B, Port} = open(Family, [{buffer, 70000}, {recbuf, 200000}]),
    [case gen_udp:send(A, self_address(Family), Port, binary:copy(<<7>>, Length)) of
         ok ->
             {ok, {_, _, Bytes}} = gen_udp:recv(B, 0, 5000),
             byte_size(Bytes);
         Error ->
             Error
     end || Length <- [0, 1, 1472, 1473, 30000, 65507, 66000]].

active(Family) ->
    {A, _} = open(Family, []),
    {B, Port} = open(Family, []),
    ok = inet:setopts(B, [{active, 2}]),
    [ok = gen_udp:send(A, self_address(Family), Port, [N]) || N <- "ab"],
    Messages = [receive {udp, B, From, _, Bytes} -> {From, Bytes} after 5000 -> none end || _ <- "ab"],
    {Messages, receive {udp_passive, B} -> passive after 5000 -> none end}.

options(Family) ->
    Given = [{broadcast, true}, {reuseaddr, true}, {priority, 3}, {read_packets, 9}],
    {A, _} = open(Family, [{recbuf, 20000}, {sndbuf, 30000} | Given]),
    {inet:getopts(A, [Name || {Name, _} <- Given]), inet:getopts(A, [recbuf, sndbuf])}.

%% The second send hears of the first.
closed_port(Family) ->
    {A, _} = open(Family, []),
    {B, Port} = open(Family, []),
    ok = gen_udp:close(B),
    ok = gen_udp:connect(A, self_address(Family), Port),
    ok = gen_udp:send(A, "x"),
    gen_udp:recv(A, 0, 5000).

connected(Family) ->
    {A, PortA} = open(Family, []),
    {B, PortB} = open(Family, []),
    {Stranger, _} = open(Family, []),
    ok = gen_udp:connect(A, self_address(Family), PortB),
    ok = gen_udp:send(Stranger, self_address(Family), PortA, "stranger"),
    ok = gen_udp:send(B, self_address(Family), PortA, "friend"),
    {ok, {_, _, Bytes}} = gen_udp:recv(A, 0, 5000),
    {Bytes, gen_udp:recv(A, 0, 100)}.

timeout(Family) ->
    {A, _} = open(Family, []),
    gen_udp:recv(A, 0, 50).

ancillary(inet) ->
    ancillary(inet, [{recvttl, true}, {recvtos, true}], [{ttl, 9}, {tos, 16}]);
ancillary(inet6) ->
    ancillary(inet6, [{recvtclass, true}], [{tclass, 16}]).

ancillary(Family, Wanted, Given) ->
    {A, _} = open(Family, Given),
    {B, Port} = open(Family, Wanted),
    ok = gen_udp:send(A, self_address(Family), Port, "x"),
    {ok, {_, _, Ancillary, Bytes}} = gen_udp:recv(B, 0, 5000),
    {lists:sort(Ancillary), Bytes}.

own_class(Family) ->
    {Wanted, Given} = case Family of
                          inet -> {[{recvttl, true}, {recvtos, true}], [{ttl, 5}, {tos, 8}]};
                          inet6 -> {[{recvtclass, true}], [{tclass, 8}]}
                      end,
    {A, _} = open(Family, []),
    {B, Port} = open(Family, Wanted),
    Sent = gen_udp:send(A, self_address(Family), Port, Given, "x"),
    {ok, {_, _, Ancillary, _}} = gen_udp:recv(B, 0, 5000),
    {Sent, lists:sort(Ancillary)}.

member() ->
    {ok, Socket} = gen_udp:open(0, [inet, binary, {active, false}, {reuseaddr, true},
                                    {add_membership, {?GROUP, ?SELF4}}]),
    {ok, Port} = inet:port(Socket),
    {Socket, Port}.

sender() ->
    {ok, Socket} = gen_udp:open(0, [inet, binary, {active, false}, {multicast_if, ?SELF4}]),
    Socket.

group() ->
    {Member, Port} = member(),
    ok = gen_udp:send(sender(), ?GROUP, Port, "all"),
    {ok, {From, _, Bytes}} = gen_udp:recv(Member, 0, 5000),
    {From, Bytes}.

group_options() ->
    {ok, Socket} = gen_udp:open(0, [inet, {multicast_ttl, 5}, {multicast_loop, false},
                                    {multicast_if, ?SELF4}]),
    inet:getopts(Socket, [multicast_ttl, multicast_loop, multicast_if]).

group_left() ->
    {Member, Port} = member(),
    Left = inet:setopts(Member, [{drop_membership, {?GROUP, ?SELF4}}]),
    Again = inet:setopts(Member, [{drop_membership, {?GROUP, ?SELF4}}]),
    ok = gen_udp:send(sender(), ?GROUP, Port, "late"),
    {Left, Again, gen_udp:recv(Member, 0, 100)}.

broadcast() ->
    {ok, Socket} = gen_udp:open(0, [inet]),
    gen_udp:send(Socket, {127, 255, 255, 255}, 9, "x").

many() ->
    {A, _} = open(inet, []),
    {B, Port} = open(inet, []),
    lists:sum([begin
                   ok = gen_udp:send(A, ?SELF4, Port, <<N:32>>),
                   {ok, {_, _, <<N:32>>}} = gen_udp:recv(B, 0, 5000),
                   N
               end || N <- lists:seq(1, 500)]).
