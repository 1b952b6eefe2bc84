%% The `socket` module: a thin layer over the system calls.
-module(net_nif).

-export([steps/0]).

%% Options without a name in the module (linux/tcp.h, asm-generic/socket.h).
-define(KEEPIDLE, 4).
-define(KEEPINTVL, 5).
-define(KEEPCNT, 6).
-define(SYNCNT, 7).
-define(USER_TIMEOUT, 18).
-define(RCVTIMEO, 20).
-define(SNDTIMEO, 21).

steps() ->
    [{lists:concat(["socket ", Name, " ", Family]), fun() -> Step(Family) end}
     || Family <- [inet, inet6], {Name, Step} <- each_family()] ++
    [{"socket " ++ Name, Step} || {Name, Step} <- once()].

each_family() ->
    [{"stream", fun stream/1},
     {"options", fun options/1},
     {"shutdown", fun shutdown/1},
     {"asynchronous", fun nowait/1},
     {"datagram", fun datagram/1},
     {"control messages", fun control/1},
     {"truncated datagram", fun truncated/1},
     {"peek", fun peek/1},
     {"errors", fun errors/1}].

once() ->
    [{"local stream", fun local_stream/0},
     {"local datagram", fun local_datagram/0},
     {"time limits", fun time_limits/0},
     {"names", fun names/0}].

own(Family) -> #{family => Family, addr => loopback, port => 0}.

listen(Family) ->
    {ok, Listener} = socket:open(Family, stream, tcp),
    ok = socket:bind(Listener, own(Family)),
    ok = socket:listen(Listener, 5),
    {ok, Address} = socket:sockname(Listener),
    {Listener, Address}.

pair(Family) ->
    {Listener, Address} = listen(Family),
    {ok, Client} = socket:open(Family, stream, tcp),
    ok = socket:connect(Client, Address, 5000),
    {ok, Server} = socket:accept(Listener, 5000),
    ok = socket:close(Listener),
    {Client, Server}.

udp(Family) ->
    {ok, Socket} = socket:open(Family, dgram, udp),
    ok = socket:bind(Socket, own(Family)),
    {ok, Address} = socket:sockname(Socket),
    {Socket, Address}.

stream(Family) ->
    {Client, Server} = pair(Family),
    ok = socket:send(Client, <<"hello">>),
    {ok, Bytes} = socket:recv(Server, 5, 5000),
    ok = socket:sendmsg(Server, #{iov => [Bytes, <<" you">>]}),
    {ok, #{iov := Iov}} = socket:recvmsg(Client, 0, 0, 5000),
    {ok, #{addr := Peer}} = socket:peername(Client),
    {iolist_to_binary(Iov), Peer}.

options(Family) ->
    {Client, _} = pair(Family),
    Common = [{{socket, keepalive}, true}, {{socket, reuseaddr}, true}, {{socket, linger}, #{onoff => true, linger => 2}},
              {{socket, priority}, 3}, {{socket, rcvlowat}, 1}, {{socket, oobinline}, true},
              {{tcp, nodelay}, true}, {{tcp, cork}, true}],
    Own = case Family of
              inet -> [{{ip, ttl}, 9}, {{ip, recvttl}, true}, {{ip, recvtos}, true},
                       {{ip, freebind}, true}, {{ip, mtu_discover}, do}];
              inet6 -> [{{ipv6, unicast_hops}, 9}, {{ipv6, recvpktinfo}, true},
                        {{ipv6, recvhoplimit}, true}, {{ipv6, tclass}, 32}]
          end,
    [{Option, socket:setopt(Client, Option, Value), socket:getopt(Client, Option)}
     || {Option, Value} <- Common ++ Own]
    ++ [{Option, socket:getopt(Client, Option)}
        || Option <- [{socket, type}, {socket, protocol}, {socket, domain}, {socket, acceptconn}]]
    ++ [{Name, socket:setopt_native(Client, {tcp, Name}, Value),
         socket:getopt_native(Client, {tcp, Name}, integer)}
        || {Name, Value} <- [{?KEEPIDLE, 11}, {?KEEPINTVL, 12}, {?KEEPCNT, 3}, {?SYNCNT, 4},
                             {?USER_TIMEOUT, 3000}, {999, 1}]].

shutdown(Family) ->
    {Client, Server} = pair(Family),
    ok = socket:send(Client, <<"last">>),
    ok = socket:shutdown(Client, write),
    Received = [socket:recv(Server, 0, 5000) || _ <- [1, 2]],
    {Received, socket:send(Client, <<"more">>), socket:send(Server, <<"still">>),
     socket:recv(Client, 5, 5000)}.

nowait(Family) ->
    {Client, Server} = pair(Family),
    {select, {select_info, _, Handle}} = socket:recv(Server, 2, nowait),
    ok = socket:send(Client, <<"hi">>),
    Selected = receive {'$socket', Server, select, Handle} -> true after 5000 -> false end,
    {Selected, socket:recv(Server, 2, nowait)}.

datagram(Family) ->
    {A, #{addr := Own}} = udp(Family),
    {B, Address} = udp(Family),
    ok = socket:sendto(A, <<"question">>, Address),
    {ok, {#{addr := From}, Bytes}} = socket:recvfrom(B, 0, 5000),
    {From =:= Own, Bytes, socket:recvfrom(B, 0, 50)}.

control(Family) ->
    {A, _} = udp(Family),
    {B, Address} = udp(Family),
    Wanted = case Family of
                 inet -> [{ip, recvttl}, {ip, recvtos}, {ip, pktinfo}];
                 inet6 -> [{ipv6, recvhoplimit}, {ipv6, recvtclass}, {ipv6, recvpktinfo}]
             end,
    Set = [socket:setopt(B, Option, true) || Option <- Wanted],
    ok = socket:sendto(A, <<"x">>, Address),
    {ok, #{ctrl := Control, flags := Flags}} = socket:recvmsg(B, 0, 0, 5000),
    {Set, lists:sort([{Level, Type, Data} || #{level := Level, type := Type, data := Data} <- Control]), Flags}.

truncated(Family) ->
    {A, _} = udp(Family),
    {B, Address} = udp(Family),
    ok = socket:sendto(A, <<"more than fits">>, Address),
    {ok, #{iov := Iov, flags := Flags}} = socket:recvmsg(B, 4, 0, 5000),
    {Iov, Flags, socket:recvfrom(B, 0, 50)}.

peek(Family) ->
    {Client, Server} = pair(Family),
    ok = socket:send(Client, <<"look">>),
    [socket:recv(Server, 4, Flags, 5000) || Flags <- [[peek], []]].

errors(Family) ->
    {Listener, Address} = listen(Family),
    {ok, Second} = socket:open(Family, stream, tcp),
    InUse = socket:bind(Second, Address),
    NotConnected = socket:send(Second, <<"x">>),
    NoPeer = socket:peername(Second),
    ok = socket:close(Listener),
    Refused = socket:connect(Second, Address, 5000),
    {ok, Datagram} = socket:open(Family, dgram, udp),
    {InUse, NotConnected, NoPeer, Refused, socket:send(Datagram, <<"x">>),
     socket:listen(Datagram), socket:accept(Datagram, 100)}.

path(Name) ->
    filename:join(case os:getenv("TMPDIR") of false -> "/tmp"; Folder -> Folder end,
                  lists:concat([Name, "-", os:getpid()])).

local_stream() ->
    Path = path("net_check.stream"),
    _ = file:delete(Path),
    {ok, Listener} = socket:open(local, stream),
    ok = socket:bind(Listener, #{family => local, path => Path}),
    ok = socket:listen(Listener),
    {ok, Client} = socket:open(local, stream),
    ok = socket:connect(Client, #{family => local, path => Path}),
    {ok, Server} = socket:accept(Listener, 5000),
    ok = socket:send(Client, <<"local">>),
    Received = socket:recv(Server, 5, 5000),
    ok = socket:close(Client),
    End = socket:recv(Server, 0, 5000),
    ok = file:delete(Path),
    {Received, End, element(1, socket:sockname(Listener))}.

local_datagram() ->
    {PathA, PathB} = {path("net_check.a"), path("net_check.b")},
    [A, B] = [begin
                  _ = file:delete(Path),
                  {ok, Socket} = socket:open(local, dgram),
                  ok = socket:bind(Socket, #{family => local, path => Path}),
                  Socket
              end || Path <- [PathA, PathB]],
    ok = socket:sendto(A, <<"local">>, #{family => local, path => PathB}),
    {ok, {#{path := From}, Bytes}} = socket:recvfrom(B, 0, 5000),
    ok = socket:close(B),
    Gone = socket:sendto(A, <<"x">>, #{family => local, path => PathB}),
    [ok = file:delete(Path) || Path <- [PathA, PathB]],
    {From =:= unicode:characters_to_binary(PathA), Bytes, Gone,
     socket:sendto(A, <<"x">>, #{family => local, path => PathB})}.

time_limits() ->
    {Client, _} = pair(inet),
    {ok, Local} = socket:open(local, dgram),
    Limit = <<3:64/native, 500000:64/native>>,
    [{Option, socket:setopt_native(Socket, {socket, Option}, Limit),
      socket:getopt_native(Socket, {socket, Option}, 16)}
     || Socket <- [Client, Local], Option <- [?RCVTIMEO, ?SNDTIMEO]].

names() ->
    {element(1, net:gethostname()),
     net:getaddrinfo("127.0.0.1"), net:getnameinfo(#{family => inet, addr => {127, 0, 0, 1}, port => 80},
                                                  [numerichost, numericserv])}.
