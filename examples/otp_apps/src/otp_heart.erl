%% With `-heart`: the heart beats, takes a command, and ends the machine when it stops beating.
-module(otp_heart).

-export([run/0]).

run() ->
    ok = heart:set_cmd("echo restarted"),
    {ok, Command} = heart:get_cmd(),
    io:format("otp_apps: heart beats, its command is ~ts~n", [Command]),
    true = erlang:suspend_process(whereis(heart)),
    receive after infinity -> ok end.
