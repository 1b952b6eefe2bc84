%% The smallest release: prints a line once it has started and ends the machine. `just bench`
%% measures power-on to halt with it.
-module(halt).
-behaviour(application).

-export([start/2, stop/1]).

start(_Type, _Args) ->
    {ok, spawn_link(fun run/0)}.

stop(_State) ->
    ok.

run() ->
    io:format("halt: started~n"),
    erlang:halt(0).
