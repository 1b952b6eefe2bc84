%% Runs the checks, prints one line for each, and ends the virtual machine: status 0 if all hold,
%% else the number of those that do not.
-module(ports_app).
-behaviour(application).

-export([start/2, stop/1]).

start(_Type, _Args) ->
    {ok, spawn_link(fun run/0)}.

stop(_State) ->
    ok.

run() ->
    Checks = ports_check:all() ++ ports_options:all() ++ ports_leak:all(),
    Failed = [Name || {Name, Check} <- Checks, not report(Name, Check)],
    io:format("ports: ~b failed~n", [length(Failed)]),
    init:stop(length(Failed)),
    receive after infinity -> ok end.

report(Name, Check) ->
    Verdict = try Check() catch Class:Reason -> {Class, Reason} end,
    io:format("~ts ~ts~ts~n", [word(Verdict), Name, detail(Verdict)]),
    Verdict =:= true.

word(true) -> "PASS";
word(_) -> "FAIL".

detail(true) -> "";
detail(Verdict) -> io_lib:format(": ~tp", [Verdict]).
