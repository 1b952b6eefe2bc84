%% The options of open_port/2, and programs that misbehave.
-module(ports_options).

-export([all/0]).

-import(ports_check, [equal/2, gone/2, open/2, program/0, run/2, take/2]).

%% Milliseconds that one answer may take on an emulated processor.
-define(PATIENCE, 20000).
%% MiB that the emulator takes beside a program that has nearly all.
-define(HELD, 64).

all() ->
    [{"arg0", fun arg0/0},
     {"in, out", fun directions/0},
     {"nouse_stdio", fun beside/0},
     {"eof", fun eof/0},
     {"stream, use_stdio, hide, overlapped_io, parallelism", fun accepted/0},
     {"busy_limits_port", fun busy/0},
     {"port_info", fun info/0},
     {"port_connect", fun connect/0},
     {"large arguments and environments", fun sizes/0},
     {"arguments that are too large", fun too_large/0},
     {"a directory that is not there", fun no_directory/0},
     {"a program that may not be run", fun no_right/0},
     {"a script", fun script/0},
     {"a program that forks on", fun multiply/0},
     {"a program that takes all memory", fun hog/0},
     {"a program that holds memory which the emulator needs", fun hold/0}].

arg0() ->
    equal(run(["arg0"], [{arg0, "another name"}]), {<<"another name\n">>, 0}).

%% Without `in`, what the program says goes where the emulator's own output goes.
directions() ->
    Only = run(["show"], [in, {cd, "/"}]),
    Deaf = open(["echo"], [out, exit_status]),
    true = port_command(Deaf, <<"to the console\n">>),
    Nothing = receive {Deaf, Message} -> Message after 200 -> nothing end,
    true = port_close(Deaf),
    equal({Only, Nothing}, {{<<"env (none)\ncwd /\n">>, 0}, nothing}).

beside() ->
    Port = open(["beside"], [nouse_stdio]),
    true = port_command(Port, <<"hello">>),
    Bytes = take(Port, 5),
    true = port_close(Port),
    equal(Bytes, <<"hello">>).

eof() ->
    Port = open(["exit", "0"], [eof]),
    Told = receive {Port, eof} -> eof after ?PATIENCE -> timeout end,
    %% Unlike with exit_status alone, the port stays.
    Stays = erlang:port_info(Port, connected),
    true = port_close(Port),
    equal({Told, Stays}, {eof, {connected, self()}}).

accepted() ->
    equal(run(["exit", "5"], [stream, use_stdio, hide, overlapped_io, {parallelism, true}]), {<<>>, 5}).

%% A program that does not read: after the pipe, ERTS's queue fills, and no more is taken.
busy() ->
    Port = open(["deaf"], [{busy_limits_port, {1000, 2000}}]),
    receive {Port, {data, _}} -> ok after ?PATIENCE -> exit(timeout) end,
    {os_pid, Pid} = erlang:port_info(Port, os_pid),
    Taken = fill(Port, 0),
    {queue_size, Queued} = erlang:port_info(Port, queue_size),
    true = port_close(Port),
    "" = os:cmd("kill -9 " ++ integer_to_list(Pid)),
    %% A pipe holds 64 KiB.
    equal({Taken >= 65536, Taken < 100000, Queued >= 2000, Queued < 4000}, {true, true, true, true}).

fill(Port, Taken) ->
    Bytes = binary:copy(<<"x">>, 1000),
    case erlang:port_command(Port, Bytes, [nosuspend]) of
        true -> fill(Port, Taken + byte_size(Bytes));
        false -> Taken
    end.

info() ->
    Port = open(["echo"], []),
    {os_pid, Pid} = erlang:port_info(Port, os_pid),
    true = port_command(Port, <<"12345">>),
    <<"12345">> = take(Port, 5),
    {ok, Comm} = file:read_file("/proc/" ++ integer_to_list(Pid) ++ "/comm"),
    Counted = {erlang:port_info(Port, output), erlang:port_info(Port, input)},
    true = port_close(Port),
    equal({Comm, Counted, erlang:port_info(Port), gone(integer_to_list(Pid), 200)},
          {<<"port\n">>, {{output, 5}, {input, 5}}, undefined, true}).

connect() ->
    Port = open(["echo"], []),
    Parent = self(),
    Other = spawn_link(fun() ->
        receive go -> ok end,
        true = port_command(Port, <<"mine">>),
        Parent ! {bytes, take(Port, 4)},
        true = port_close(Port)
    end),
    true = port_connect(Port, Other),
    true = unlink(Port),
    Other ! go,
    Bytes = receive {bytes, Found} -> Found after ?PATIENCE -> timeout end,
    equal(Bytes, <<"mine">>).

sizes() ->
    Arguments = ["sizes" | lists:duplicate(200, lists:duplicate(1000, $a))],
    Variables = [{"PORT_" ++ integer_to_list(N + 1000), lists:duplicate(990, $v)} || N <- lists:seq(1, 500)],
    equal(run(Arguments, [{env, Variables}]), {<<"200 200000 500 500000\n">>, 0}).

%% One string of more than 128 KiB (execve(2), MAX_ARG_STRLEN). ERTS learns of it when the port
%% is there already: the exit status is the error's number, E2BIG.
too_large() ->
    equal(run(["sizes", lists:duplicate(140000, $a)], []), {<<>>, 7}).

%% As above, ENOENT.
no_directory() ->
    equal(run(["exit", "0"], [{cd, "/nonexistent"}]), {<<>>, 2}).

no_right() ->
    File = "/tmp/ports-no-right",
    ok = file:write_file(File, "#!/bin/sh\n"),
    ok = file:change_mode(File, 8#644),
    Result = try open_port({spawn_executable, File}, []) catch error:Reason -> Reason end,
    ok = file:delete(File),
    equal(Result, eacces).

script() ->
    File = "/tmp/ports-script",
    ok = file:write_file(File, "#!/bin/sh\necho \"$# $1\"\nexit 4\n"),
    ok = file:change_mode(File, 8#755),
    Port = open_port({spawn_executable, File}, [{args, ["one two", "three"]}, exit_status, binary]),
    Text = take(Port, 10),
    Status = receive {Port, {exit_status, Number}} -> Number after ?PATIENCE -> timeout end,
    ok = file:delete(File),
    equal({Text, Status}, {<<"2 one two\n">>, 4}).

%% 128 processes, which end with their group.
multiply() ->
    Port = open(["multiply", "7"], [exit_status]),
    {os_pid, Pid} = erlang:port_info(Port, os_pid),
    Dots = take(Port, 128),
    %% ERTS starts each program in a session of its own (erl_child_setup.c).
    "" = os:cmd("kill -9 -" ++ integer_to_list(Pid)),
    Status = receive {Port, {exit_status, Number}} -> Number after ?PATIENCE -> timeout end,
    equal({Dots, Status}, {binary:copy(<<".">>, 128), 128 + 9}).

%% It is killed, and nothing else is.
hog() ->
    Result = run(["hog"], []),
    Still = run(["exit", "0"], []),
    equal({Result, Still}, {{<<>>, 128 + 9}, {<<>>, 0}}).

%% The emulator takes far more than the program leaves: the program has to go.
hold() ->
    {ok, Text} = file:read_file("/proc/meminfo"),
    {match, [Kilobytes]} = re:run(Text, "MemFree: *([0-9]+)", [{capture, all_but_first, list}]),
    Free = list_to_integer(Kilobytes) div 1024,
    Left = 8,
    Port = open(["hold", integer_to_list(Free - Left)], [exit_status]),
    Said = take(Port, 1),
    Taken = [binary:copy(<<N>>, 1 bsl 20) || N <- lists:seq(1, ?HELD)],
    Status = receive {Port, {exit_status, Number}} -> Number after ?PATIENCE -> timeout end,
    equal({Said, length(Taken), Status}, {<<".">>, ?HELD, 128 + 9}).
