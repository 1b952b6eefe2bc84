%% Runs checks and prints one line for each: `otp_apps: NAME: VALUE`. A check is a function that
%% gives a value which is the same wherever it runs, and fails by an exception.
-module(otp_check).

-export([run/1, run_and_stop/1, scratch/1]).

-type check() :: {Name :: string(), fun(() -> term())}.

%% Ends the virtual machine: status 0, or the number of checks that failed.
-spec run_and_stop([check()]) -> no_return().
run_and_stop(Checks) ->
    init:stop(run(Checks)),
    receive after infinity -> ok end.

%% The number of checks that failed.
-spec run([check()]) -> non_neg_integer().
run(Checks) ->
    Failed = length([Name || {Name, Check} <- Checks, not passes(Name, Check)]),
    io:format("otp_apps: ~b of ~b checks failed~n", [Failed, length(Checks)]),
    Failed.

passes(Name, Check) ->
    try Check() of
        Value ->
            io:format("otp_apps: ~ts: ~0tp~n", [Name, Value]),
            true
    catch Class:Reason:Stack ->
        io:format("otp_apps: ~ts: FAILED ~tp~n", [Name, {Class, Reason, Stack}]),
        false
    end.

%% A new, empty directory below TMPDIR.
-spec scratch(string()) -> file:filename().
scratch(Name) ->
    Number = integer_to_list(erlang:unique_integer([positive])),
    Unique = lists:join("-", ["otp_apps", Name, os:getpid(), Number]),
    Directory = filename:join(os:getenv("TMPDIR", "/tmp"), lists:concat(Unique)),
    ok = file:make_dir(Directory),
    Directory.
