%% Checks the distribution with another node that runs this release, then stops both.
-module(otp_peer).

-export([run/1, relay/1]).

-include_lib("kernel/include/net_address.hrl").

-define(PATIENCE, 60000).

run(Peer) ->
    Failed = otp_check:run(
        [{"distribution: ping", fun() -> ping(Peer, 100) end},
         {"distribution: nodes", fun() -> {nodes() =:= [Peer], rpc:call(Peer, erlang, nodes, []) =:= [node()]} end},
         {"distribution: rpc and erpc", fun() -> calls(Peer) end},
         {"distribution: messages and links", fun() -> links(Peer) end},
         {"distribution: large messages", fun() -> large(Peer) end},
         {"distribution: global names and locks", fun() -> global_names(Peer) end},
         {"distribution: process groups", fun() -> groups(Peer) end},
         {"distribution: transport", fun() -> transport(Peer) end},
         {"distribution: epmd", fun() -> names(net_adm:names(host(Peer))) end},
         {"distribution: mnesia on both", fun() -> mnesia(Peer) end},
         {"distribution: goes and comes back", fun() -> reconnect(Peer) end}]),
    ok = rpc:call(Peer, init, stop, [Failed]),
    init:stop(Failed),
    receive after infinity -> ok end.

host(Node) -> list_to_atom(lists:last(string:split(atom_to_list(Node), "@"))).

%% The other may still be starting.
ping(_, 0) -> error(pang);
ping(Peer, Tries) ->
    case net_adm:ping(Peer) of
        pong -> pong;
        pang -> timer:sleep(200), ping(Peer, Tries - 1)
    end.

%% What carries the connection.
transport(Peer) ->
    {ok, Info} = net_kernel:node_info(Peer),
    #net_address{protocol = Protocol} = proplists:get_value(address, Info),
    Protocol.

names({ok, Names}) -> {ok, [Name || {Name, _} <- Names]};
names(Error) -> Error.

calls(Peer) ->
    Here = node(),
    {rpc:call(Peer, erlang, node, []) =:= Peer, erpc:call(Peer, fun() -> Here end) =:= Here,
     erpc:multicall([node(), Peer], lists, sum, [[1, 2, 3]]),
     rpc:call(Peer, erlang, error, [badarg]) =/= ok,
     rpc:call(Peer, application, get_key, [otp_apps, vsn])}.

links(Peer) ->
    process_flag(trap_exit, true),
    Pid = spawn_link(Peer, ?MODULE, relay, [self()]),
    Pid ! {hello, make_ref()},
    Answer = receive {Pid, {hello, Ref}} -> is_reference(Ref) after ?PATIENCE -> timeout end,
    Monitor = monitor(process, Pid),
    exit(Pid, on_purpose),
    Ends = [receive {'EXIT', Pid, Why} -> {exit, Why};
                    {'DOWN', Monitor, process, Pid, Why} -> {down, Why}
            after ?PATIENCE -> timeout end || _ <- [1, 2]],
    process_flag(trap_exit, false),
    {Answer, lists:sort(Ends)}.

relay(To) ->
    receive Message -> To ! {self(), Message} end,
    relay(To).

large(Peer) ->
    Pid = spawn(Peer, ?MODULE, relay, [self()]),
    Bytes = binary:copy(<<"0123456789abcdef">>, 1 bsl 16),
    [Pid ! {N, Bytes} || N <- lists:seq(1, 4)],
    Back = [receive {Pid, {N, Bytes}} -> N after ?PATIENCE -> timeout end || N <- lists:seq(1, 4)],
    exit(Pid, kill),
    Back.

global_names(Peer) ->
    ok = global:sync(),
    Pid = spawn(Peer, ?MODULE, relay, [self()]),
    yes = global:register_name(somebody, Pid),
    There = rpc:call(Peer, global, whereis_name, [somebody]),
    Locked = global:trans({lock, self()}, fun() -> locked end, [node(), Peer]),
    exit(Pid, kill),
    Gone = gone(100),
    {There =:= Pid, Locked, Gone}.

gone(0) -> false;
gone(Tries) ->
    case global:whereis_name(somebody) of
        undefined -> true;
        _ -> timer:sleep(50), gone(Tries - 1)
    end.

groups(Peer) ->
    {ok, _} = pg:start(otp_apps),
    Starter = spawn(Peer, fun() -> {ok, _} = pg:start(otp_apps), receive stop -> ok end end),
    Joined = joined(Starter, 100),
    Starter ! stop,
    Joined.

joined(_, 0) -> timeout;
joined(Pid, Tries) ->
    case catch erpc:call(node(Pid), pg, join, [otp_apps, group, Pid]) of
        ok -> member(Pid, 100);
        _ -> timer:sleep(50), joined(Pid, Tries - 1)
    end.

member(_, 0) -> timeout;
member(Pid, Tries) ->
    case pg:get_members(otp_apps, group) of
        [Pid] -> member;
        _ -> timer:sleep(50), member(Pid, Tries - 1)
    end.

%% A table on both nodes that is written here and read there, from its own copy.
mnesia(Peer) ->
    Nodes = [node(), Peer],
    {ok, [Peer]} = mnesia:change_config(extra_db_nodes, [Peer]),
    {atomic, ok} = mnesia:create_table(shared, [{ram_copies, Nodes}]),
    {atomic, ok} = mnesia:transaction(fun() -> mnesia:write({shared, key, value}) end),
    {rpc:call(Peer, mnesia, dirty_read, [shared, key]),
     rpc:call(Peer, mnesia, table_info, [shared, where_to_read]) =:= Peer}.

reconnect(Peer) ->
    monitor_node(Peer, true),
    true = disconnect_node(Peer),
    Down = receive {nodedown, Peer} -> down after ?PATIENCE -> timeout end,
    {Down, ping(Peer, 100)}.
