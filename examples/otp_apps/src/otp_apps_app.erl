%% What is done is said by the environment variable OTP_APPS:
%%
%%   check       (default) checks OTP's applications, each on its own; ends with the number of failures
%%   serve       offers TLS, HTTPS and SSH until it is stopped
%%   wait        does nothing, until another node stops it
%%   peer        checks the distribution with the node PEER, and stops both
%%   disk_full   fills the file system, more than once
%%   heart       stops the heart beat, so that `heart` ends the machine
-module(otp_apps_app).
-behaviour(application).

-export([start/2, stop/1]).

start(_Type, _Args) ->
    {ok, spawn_link(fun() -> run(os:getenv("OTP_APPS", "check")) end)}.

stop(_State) ->
    ok.

run("check") ->
    Checks = otp_tools:all() ++ otp_files:all() ++ otp_store:all() ++ otp_network:all(),
    otp_check:run_and_stop(Checks);
run("disk_full") -> otp_check:run_and_stop(otp_disk_full:all());
run("peer") -> otp_peer:run(list_to_atom(os:getenv("PEER")));
run("wait") -> receive after infinity -> ok end;
run("heart") -> otp_heart:run();
run("serve") -> otp_serve:run().
