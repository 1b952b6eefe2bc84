%% Uses sockets in every way that ERTS offers, prints the result of each step and stops the virtual
%% machine: status 0 if no step crashed. The lines are the same on every system, so that those of
%% two systems can be compared. The steps of net_outside need the world of the boot test and only run
%% if the variable NET_CHECK names its ports; if it is "serve", there is nothing but a server.
-module(net_check).
-behaviour(application).

-export([start/2, stop/1, main/0]).

start(_Type, _Args) ->
    {ok, spawn_link(fun() -> init:stop(run()), receive after infinity -> ok end end)}.

stop(_State) ->
    ok.

%% Without a release: `erl -noinput -pa _build/ebin -s net_check main`.
main() ->
    halt(run()).

run() ->
    Steps = case os:getenv("NET_CHECK") of
                "serve" -> [{"served", fun net_outside:serve/0}];
                Ports -> all_steps(Ports)
            end,
    length([Name || {Name, Step} <- Steps, not report(Name, Step)]).

all_steps(Ports) ->
    net_stream:steps() ++ net_datagram:steps() ++ net_nif:steps() ++ net_dns:steps()
        ++ interfaces() ++ net_outside:steps(Ports).

report(Name, Step) ->
    Parent = self(),
    %% A process of its own, so that no step finds the messages of another.
    {Pid, Monitor} = spawn_monitor(fun() -> Parent ! {self(), Step()} end),
    receive
        {Pid, Result} ->
            demonitor(Monitor, [flush]),
            io:format("net: ~ts ~0tp~n", [Name, Result]),
            true;
        {'DOWN', Monitor, process, Pid, Reason} ->
            io:format("net: ~ts crashed ~0tp~n", [Name, Reason]),
            false
    after 120000 ->
        io:format("net: ~ts hangs~n", [Name]),
        exit(Pid, kill),
        false
    end.

interfaces() ->
    [{"getifaddrs of lo", fun() ->
         {ok, All} = inet:getifaddrs(),
         {"lo", Facts} = lists:keyfind("lo", 1, All),
         [lists:sort(proplists:get_value(flags, Facts)),
          lists:sort(proplists:get_all_values(addr, Facts)),
          lists:sort(proplists:get_all_values(netmask, Facts))]
     end},
     {"index and name of lo", fun() ->
         {net:if_name2index("lo"), net:if_index2name(1)}
     end},
     {"ifget of lo", fun() ->
         inet:ifget("lo", [addr, netmask, flags, mtu])
     end}].
