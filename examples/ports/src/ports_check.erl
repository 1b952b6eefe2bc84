%% Ports, os:cmd and the native resolver: what programs outside the emulator are used for.
-module(ports_check).

-export([all/0, equal/2, gone/2, open/2, program/0, run/2, take/2]).

%% Milliseconds that one answer may take on an emulated processor.
-define(PATIENCE, 20000).

all() ->
    [{"spawn: input comes back as output", fun echo/0},
     {"spawn_executable: arguments, environment and directory", fun show/0},
     {"packet modes 1, 2 and 4", fun packets/0},
     {"line mode", fun lines/0},
     {"exit status of a program that ends", fun exit_status/0},
     {"exit status of a program that crashes", fun crash/0},
     {"exit status of a program that is killed", fun killed/0},
     {"a broken pipe kills", fun broken_pipe/0},
     {"stderr_to_stdout", fun stderr/0},
     {"a flood of output", fun flood/0},
     {"a flood of input", fun flood_in/0},
     {"a program that ignores the end of its input", fun deaf/0},
     {"a program that leaves a child behind", fun daemon/0},
     {"descriptors and signals of a new program", fun inherited/0},
     {"wait statuses, process groups, SIGCHLD", fun family/0},
     {"a program that is not there", fun missing/0},
     {"many ports at once", fun many/0},
     {"os:cmd", fun os_cmd/0},
     {"os:cmd: pipes, loops and substitution", fun shell/0},
     {"os:cmd: background and signals", fun background/0},
     {"native resolver", fun native/0},
     {"os_mon: cpu_sup", fun cpu_sup/0}].

%% The port program of this application.
program() ->
    filename:join(code:priv_dir(ports), "port").

open(Arguments, Options) ->
    open_port({spawn_executable, program()}, [{args, Arguments}, binary | Options]).

%% Output and exit status of the port program.
run(Arguments, Options) ->
    collect(open(Arguments, [exit_status | Options]), []).

collect(Port, Parts) ->
    receive
        {Port, {data, Data}} -> collect(Port, [Data | Parts]);
        {Port, {exit_status, Status}} -> {iolist_to_binary(lists:reverse(Parts)), Status}
    after ?PATIENCE -> {timeout, iolist_size(Parts)}
    end.

%% The first `Size` bytes of output.
take(Port, Size) -> take(Port, Size, <<>>).

take(_, Size, Bytes) when byte_size(Bytes) >= Size -> Bytes;
take(Port, Size, Bytes) ->
    receive {Port, {data, Data}} -> take(Port, Size, <<Bytes/binary, Data/binary>>)
    after ?PATIENCE -> {timeout, Bytes}
    end.

equal(Same, Same) -> true;
equal(Found, Expected) -> {found, Found, expected, Expected}.

echo() ->
    Port = open_port({spawn, program() ++ " echo"}, [binary]),
    port_command(Port, <<"hello">>),
    Bytes = take(Port, 5),
    port_close(Port),
    equal(Bytes, <<"hello">>).

show() ->
    Options = [{cd, "/tmp"}, {env, [{"PORT_TEST", "a b=c"}, {"PATH", false}]}],
    Lines = <<"arg one\narg two words\narg \narg grün\nenv a b=c\ncwd /tmp\n"/utf8>>,
    Arguments = ["show", "one", "two words", "", <<"grün"/utf8>>],
    equal(run(Arguments, Options), {Lines, 0}).

packets() ->
    equal([packet(Size) || Size <- [1, 2, 4]], [true, true, true]).

packet(Size) ->
    Port = open(["echo"], [{packet, Size}]),
    Packets = [<<"first">>, <<>>, binary:copy(<<"x">>, 200), <<"last">>],
    [port_command(Port, Packet) || Packet <- Packets],
    Found = [receive {Port, {data, Data}} -> Data after ?PATIENCE -> timeout end || _ <- Packets],
    port_close(Port),
    equal(Found, Packets).

lines() ->
    Port = open(["show", "one"], [{line, 6}, exit_status, {cd, "/"}, {env, [{"PORT_TEST", false}]}]),
    Receive = fun Receive(Lines) ->
        receive
            {Port, {data, Line}} -> Receive([Line | Lines]);
            {Port, {exit_status, 0}} -> lists:reverse(Lines)
        after ?PATIENCE -> timeout
        end
    end,
    equal(Receive([]), [{noeol, <<"arg on">>}, {eol, <<"e">>}, {noeol, <<"env (n">>}, {eol, <<"one)">>},
                        {eol, <<"cwd /">>}]).

exit_status() ->
    equal([run(["exit", Status], []) || Status <- ["0", "1", "255"]], [{<<>>, 0}, {<<>>, 1}, {<<>>, 255}]).

%% SIGSEGV is 11; ERTS adds 128.
crash() ->
    equal(run(["crash"], []), {<<>>, 128 + 11}).

killed() ->
    Port = open(["deaf"], [exit_status]),
    {os_pid, Pid} = erlang:port_info(Port, os_pid),
    Said = receive {Port, {data, Text}} -> string:trim(Text) after ?PATIENCE -> timeout end,
    "" = os:cmd("kill -9 " ++ integer_to_list(Pid)),
    Status = receive {Port, {exit_status, S}} -> S after ?PATIENCE -> timeout end,
    equal({Said, Status}, {integer_to_binary(Pid), 128 + 9}).

broken_pipe() ->
    equal(run(["pipe"], []), {<<>>, 128 + 13}).

stderr() ->
    equal(run(["stderr"], [stderr_to_stdout]), {<<"to stderr\n">>, 0}).

flood() ->
    {Bytes, Status} = run(["flood", "3000000"], []),
    equal({byte_size(Bytes), Status}, {3000000, 0}).

flood_in() ->
    Port = open(["echo"], []),
    Bytes = binary:copy(<<"0123456789abcdef">>, 65536),
    Owner = self(),
    spawn_link(fun() -> Port ! {Owner, {command, Bytes}} end),
    Found = take(Port, byte_size(Bytes)),
    port_close(Port),
    equal(erlang:md5(Found), erlang:md5(Bytes)).

%% Closing the port only closes the pipes; the program must be ended by a signal.
deaf() ->
    Port = open(["deaf"], []),
    {os_pid, Number} = erlang:port_info(Port, os_pid),
    Pid = integer_to_list(Number),
    receive {Port, {data, _}} -> ok after ?PATIENCE -> exit(timeout) end,
    port_close(Port),
    Alive = os:cmd("kill -0 " ++ Pid ++ " && echo alive"),
    os:cmd("kill " ++ Pid),
    equal({Alive, gone(Pid, 100)}, {"alive\n", true}).

gone(_, 0) -> false;
gone(Pid, Tries) ->
    case filelib:is_dir("/proc/" ++ Pid) of
        false -> true;
        true -> timer:sleep(20), gone(Pid, Tries - 1)
    end.

%% The status comes when nobody holds the output any more; orphans belong to process 1.
daemon() ->
    equal(run(["daemon"], []), {<<"orphan of 1\n">>, 7}).

%% ERTS leaves only the standard descriptors open; it ignores SIGFPE (8) and SIGPIPE (13), and
%% ignored signals stay so over exec.
inherited() ->
    equal(run(["inherited"], []), {<<"fd 0\nfd 1\nfd 2\nignored 8\nignored 13\n">>, 0}).

family() ->
    equal(run(["family"], []), {<<"exited 42\nkilled 15\nkilled 11\nSIGCHLD 3\n">>, 0}).

missing() ->
    Result = try open_port({spawn_executable, "/nonexistent"}, []) catch error:Reason -> Reason end,
    equal(Result, enoent).

many() ->
    Ports = [open(["echo"], []) || _ <- lists:seq(1, 30)],
    [port_command(Port, integer_to_binary(N + 10)) || {N, Port} <- lists:enumerate(Ports)],
    Answers = [take(Port, 2) || Port <- Ports],
    [port_close(Port) || Port <- Ports],
    equal(Answers, [integer_to_binary(N + 10) || N <- lists:seq(1, 30)]).

os_cmd() ->
    equal({os:cmd("echo hi"), os:cmd("exit 3"), os:cmd("echo err >&2")}, {"hi\n", "", "err\n"}).

shell() ->
    Command = "cd /tmp && for i in 3 1 2; do echo $i; done | sort | tr '\\n' , > ports.txt; "
              "echo $(cat ports.txt; rm ports.txt; ls ports.txt 2>/dev/null) $((6 * 7)) $(pwd)",
    equal(os:cmd(Command), "1,2,3, 42 /tmp\n").

background() ->
    Command = "sleep 60 & kill $!; wait $!; echo $?; sh -c 'trap \"echo caught\" TERM; kill $$; echo on'",
    equal(os:cmd(Command), "Terminated\n143\ncaught\non\n").

native() ->
    ok = inet_db:set_lookup([native]),
    Found = inet:gethostbyname("localhost"),
    Unknown = inet:gethostbyname("no-such-host.invalid"),
    ok = inet_db:set_lookup([file, dns]),
    case {Found, Unknown} of
        {{ok, {hostent, _, _, inet, 4, [{127, 0, 0, 1}]}}, {error, nxdomain}} -> true;
        Other -> Other
    end.

cpu_sup() ->
    Processes = cpu_sup:nprocs(),
    Util = cpu_sup:util(),
    (is_integer(Processes) andalso Processes > 0 andalso is_number(Util)) orelse {Processes, Util}.
