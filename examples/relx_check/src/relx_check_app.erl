%% Prints what the start made of the templates, and waits.
-module(relx_check_app).
-behaviour(application).

-export([start/2, stop/1]).

start(_Type, _Arguments) ->
    io:format("relx_check: ~0tp~n", [lists:sort(application:get_all_env(relx_check))]),
    io:format("relx_check: ~0tp~n", [{node(), erlang:get_cookie(), erlang:system_info(schedulers)}]),
    {ok, spawn_link(fun() -> receive stop -> ok end end)}.

stop(_State) ->
    ok.
