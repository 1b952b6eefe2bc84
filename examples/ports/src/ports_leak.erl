%% Ports that come and go must leave nothing behind: descriptors, processes, memory.
-module(ports_leak).

-export([all/0]).

%% Here these are those of the machine.
-compile({no_auto_import, [processes/0]}).

%% Ports opened between the two looks.
-define(PORTS, 200).
%% Less than a page of kernel memory for each port, in kB.
-define(LEAK_MAX, ?PORTS * 4).

all() ->
    [{"200 ports leave nothing behind", fun leak/0}].

leak() ->
    %% Whatever is allocated once is allocated now.
    open_and_close(?PORTS div 4),
    Before = look(),
    {Micros, ok} = timer:tc(fun() -> open_and_close(?PORTS) end),
    After = look(),
    io:format("~b ports, ~b us each~n", [?PORTS, Micros div ?PORTS]),
    verdict(Before, After).

open_and_close(Count) ->
    [{<<>>, 0} = ports_check:run(["exit", "0"], []) || _ <- lists:seq(1, Count)],
    [open_and_close() || _ <- lists:seq(1, Count div 10)],
    ok.

%% A port that is closed while its program still reads.
open_and_close() ->
    port_close(open_port({spawn_executable, ports_check:program()}, [{args, ["echo"]}])).

verdict({Descriptors, Processes, Memory}, {Descriptors, Processes, MemoryAfter}) ->
    Lost = Memory - MemoryAfter,
    Lost =< ?LEAK_MAX orelse {kilobytes_lost, Lost};
verdict(Before, After) ->
    {before, Before, 'after', After}.

%% Open descriptors, processes, and the memory in kB that is free or held by the emulator: what
%% is in neither was lost.
look() ->
    settle(400),
    erlang:garbage_collect(),
    {ok, Descriptors} = file:list_dir("/proc/self/fd"),
    Memory = field("/proc/meminfo", "MemFree:") + field("/proc/self/status", "VmRSS:"),
    {length(Descriptors), length(processes()), Memory}.

%% Waits until the port programs, whose input has ended, are gone; 20 seconds at most.
settle(0) -> ok;
settle(Tries) ->
    case [Pid || Pid <- processes(), name(Pid) =:= {ok, <<"port\n">>}] of
        [] -> ok;
        _ -> timer:sleep(50), settle(Tries - 1)
    end.

name(Pid) -> file:read_file("/proc/" ++ Pid ++ "/comm").

%% The processes of the machine, by number.
processes() ->
    {ok, Names} = file:list_dir("/proc"),
    [Name || [Digit | _] = Name <- Names, Digit >= $0, Digit =< $9].

field(File, Name) ->
    {ok, Text} = file:read_file(File),
    [Line] = [Line || Line <- string:lexemes(binary_to_list(Text), "\n"), lists:prefix(Name, Line)],
    [_, Number, "kB"] = string:lexemes(Line, " \t"),
    list_to_integer(Number).
