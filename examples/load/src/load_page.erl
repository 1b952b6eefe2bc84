%% The pages.
%%
%%   /               a few words
%%   /proc/... and /sys/...   what the kernel says about itself
%%   /open?N         opens N connections to this server and leaves them open
%%   /ports?N        runs N shell commands, one after the other
%%   /work           files, timers, processes and garbage
%%   /collect        collects the garbage of all processes
%%   /stop           ends the virtual machine
%%   anything else   404
-module(load_page).

-export([get/1]).

get(<<"/">>) -> ok(<<"Hello from unibeam\n">>);
get(<<"/proc/", _/binary>> = Path) -> file(Path);
get(<<"/sys/", _/binary>> = Path) -> file(Path);
get(<<"/open?", Count/binary>>) -> open(binary_to_integer(Count));
get(<<"/ports?", Count/binary>>) -> ports(binary_to_integer(Count));
get(<<"/work">>) -> work();
get(<<"/collect">>) -> collect();
get(<<"/stop">>) -> init:stop(), ok(<<"bye\n">>);
get(_) -> {<<"404 Not Found">>, <<>>}.

ok(Body) -> {<<"200 OK">>, Body}.

file(Path) ->
    case file:read_file(Path) of
        {ok, Content} -> ok(Content);
        {error, _} -> {<<"404 Not Found">>, <<>>}
    end.

open(Count) ->
    {ok, Port} = application:get_env(load, port),
    Asker = self(),
    Holder = spawn(fun() ->
        Sockets = [connect(Port) || _ <- lists:seq(1, Count)],
        Asker ! {open, self()},
        receive close -> Sockets end
    end),
    receive {open, Holder} -> ok(<<"done\n">>) end.

connect(Port) ->
    {ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, Port, [{active, false}]),
    Socket.

ports(Count) ->
    ["1\n" = os:cmd("echo 1") || _ <- lists:seq(1, Count)],
    ok(<<"done\n">>).

work() ->
    Steps = [fun files/0, fun timers/0, fun garbage/0],
    Parent = self(),
    Workers = [spawn_monitor(fun() -> Step(), Parent ! {done, self()} end) || Step <- Steps],
    [receive {'DOWN', Monitor, process, Pid, normal} -> ok end || {Pid, Monitor} <- Workers],
    [receive {done, Pid} -> ok end || {Pid, _} <- Workers],
    ok(<<"done\n">>).

files() ->
    Name = "/tmp/load-" ++ integer_to_list(erlang:unique_integer([positive])),
    Content = binary:copy(<<"0123456789abcdef">>, 4096),
    ok = file:write_file(Name, Content),
    {ok, Content} = file:read_file(Name),
    ok = file:delete(Name).

timers() ->
    References = [erlang:start_timer(Delay, self(), tick) || Delay <- lists:seq(1, 20)],
    [receive {timeout, Reference, tick} -> ok end || Reference <- References].

garbage() ->
    Words = [integer_to_binary(Number) || Number <- lists:seq(1, 20_000)],
    true = iolist_size(Words) > 0,
    Large = binary:copy(<<0>>, 2_000_000),
    2_000_000 = byte_size(Large).

collect() ->
    [erlang:garbage_collect(Pid) || Pid <- processes()],
    ok(<<"done\n">>).
