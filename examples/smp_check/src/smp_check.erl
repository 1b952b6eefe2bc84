%% Keeps all processors busy and looks whether anything stops: a wake-up that gets lost, a page
%% that changes under a reader, or a deadlock ends as a kind of work that makes no progress.
%%
%% Runs for SMP_CHECK_SECONDS (20), prints how much of each kind of work was done and stops the
%% virtual machine: status 0 if all went on to the end, 1 otherwise.
-module(smp_check).
-behaviour(application).

-export([start/2, stop/1]).

%% How long one kind of work may stand still.
-define(PATIENCE_MS, 15000).

start(_Type, _Args) ->
    {ok, spawn_link(fun run/0)}.

stop(_State) ->
    ok.

run() ->
    io:format("smp: ~b schedulers online of ~b processors, bound to ~tp~n",
              [erlang:system_info(schedulers_online),
               erlang:system_info(logical_processors_available),
               erlang:system_info(scheduler_bindings)]),
    Seconds = list_to_integer(os:getenv("SMP_CHECK_SECONDS", "20")),
    Work = [{Name, start_work(Job)} || {Name, Job} <- work()],
    End = erlang:monotonic_time(millisecond) + Seconds * 1000,
    Stuck = watch(Work, [], End),
    [io:format("smp: ~ts ~b~n", [Name, counters:get(Counter, 1)]) || {Name, Counter} <- Work],
    case Stuck of
        [] -> io:format("smp: everything went on~n");
        _ -> io:format("smp: no progress of ~tp~n", [Stuck])
    end,
    init:stop(min(length(Stuck), 1)),
    receive after infinity -> ok end.

%% Looks at the counters now and then; returns the names of those that stood still.
watch(Work, Before, End) ->
    Now = [{Name, counters:get(Counter, 1)} || {Name, Counter} <- Work],
    case [Name || {Name, _} = Same <- Now, lists:member(Same, Before)] of
        [] ->
            Left = End - erlang:monotonic_time(millisecond),
            case Left > 0 of
                true -> timer:sleep(min(?PATIENCE_MS, Left)), watch(Work, before(Left, Now), End);
                false -> []
            end;
        Stuck -> Stuck
    end.

%% The last look comes too early to find fault.
before(Left, _) when Left < ?PATIENCE_MS -> [];
before(_, Now) -> Now.

start_work(Job) ->
    Counter = counters:new(1, [write_concurrency]),
    Done = fun() -> counters:add(Counter, 1, 1) end,
    Job(Done),
    Counter.

work() ->
    [{"messages around a ring", fun rings/1},
     {"timers", fun timers/1},
     {"connections over the loopback", fun connections/1},
     {"processes and memory", fun memory/1},
     {"files", fun files/1}].

repeat(Done, Fun) ->
    Fun(),
    Done(),
    repeat(Done, Fun).

%% Rings of processes, each with one token: schedulers sleep and wake all the time.
rings(Done) ->
    [spawn_link(fun() -> ring(Done, 50) end) || _ <- lists:seq(1, 4)].

ring(Done, Size) ->
    First = lists:foldl(fun(_, Next) -> spawn_link(fun() -> pass_on(Next) end) end,
                        self(), lists:seq(1, Size)),
    repeat(Done, fun() -> First ! token, receive token -> ok end end).

pass_on(Next) ->
    receive token -> Next ! token end,
    pass_on(Next).

timers(Done) ->
    [spawn_link(fun() -> repeat(Done, fun sleep/0) end) || _ <- lists:seq(1, 50)].

sleep() ->
    Reference = erlang:start_timer(rand:uniform(20), self(), due),
    case rand:uniform(4) of
        1 -> erlang:cancel_timer(Reference), receive {timeout, Reference, due} -> ok after 0 -> ok end;
        _ -> receive {timeout, Reference, due} -> ok end
    end.

connections(Done) ->
    {ok, Listener} = gen_tcp:listen(0, [binary, {active, false}, {packet, 4}, {nodelay, true},
                                        {ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Listener),
    spawn_link(fun() -> accept(Listener) end),
    [spawn_link(fun() -> ping(Done, Port) end) || _ <- lists:seq(1, 4)].

accept(Listener) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    Server = spawn_link(fun() -> receive go -> echo(Socket) end end),
    ok = gen_tcp:controlling_process(Socket, Server),
    Server ! go,
    accept(Listener).

echo(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, Data} -> ok = gen_tcp:send(Socket, Data), echo(Socket);
        {error, closed} -> ok
    end.

%% A hundred exchanges, then a new connection.
ping(Done, Port) ->
    {ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}, {packet, 4},
                                                          {nodelay, true}]),
    [begin
         Data = rand:bytes(rand:uniform(3000)),
         ok = gen_tcp:send(Socket, Data),
         {ok, Data} = gen_tcp:recv(Socket, 0),
         Done()
     end || _ <- lists:seq(1, 100)],
    ok = gen_tcp:close(Socket),
    ping(Done, Port).

%% Binaries of up to 2 MiB come and go, so memory is mapped and unmapped under the others.
memory(Done) ->
    [spawn_link(fun() -> repeat(Done, fun allocate/0) end) || _ <- lists:seq(1, 4)].

allocate() ->
    Parent = self(),
    Byte = rand:uniform(255),
    Size = rand:uniform(1 bsl 21),
    Child = spawn_link(fun() -> Parent ! {self(), binary:copy(<<Byte>>, Size)} end),
    receive {Child, Copy} -> true = Size =:= byte_size(Copy), {0, _} = binary:match(Copy, <<Byte>>) end,
    Byte = binary:last(Copy),
    erlang:garbage_collect(),
    pause().

%% Processors that are always busy never miss a wake-up.
pause() ->
    timer:sleep(rand:uniform(30)).

files(Done) ->
    [spawn_link(fun() ->
                        Name = "/tmp/smp_check." ++ integer_to_list(N),
                        repeat(Done, fun() -> write_and_read(Name) end)
                end) || N <- lists:seq(1, 2)].

write_and_read(Name) ->
    Data = rand:bytes(rand:uniform(100000)),
    ok = file:write_file(Name, Data),
    {ok, Data} = file:read_file(Name),
    pause().
