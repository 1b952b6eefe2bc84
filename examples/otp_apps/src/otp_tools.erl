%% Applications that need neither network nor files.
-module(otp_tools).

-export([all/0]).

%% What dbg traces; the supervisor.
-export([traced/1, init/1]).

-define(PATIENCE, 20000).

all() ->
    [{"crypto: hash, cipher and signature", fun crypto/0},
     {"public_key: a certificate chain is verified", fun public_key/0},
     {"asn1: a key goes through PEM and back", fun asn1/0},
     {"compiler: a module compiled from text runs", fun compile/0},
     {"compiler: an error is reported", fun compile_error/0},
     {"eunit: tests that hold and one that does not", fun eunit/0},
     {"runtime_tools: dbg traces a call", fun dbg/0},
     {"runtime_tools: observer_backend", fun observer/0},
     {"runtime_tools: msacc", fun msacc/0},
     {"sasl: a supervisor restarts its child", fun restart/0},
     {"sasl: alarms", fun alarms/0},
     {"os_mon: cpu_sup", fun cpu_sup/0},
     {"os_mon: memsup", fun memsup/0},
     {"os_mon: disksup", fun disksup/0},
     {"os_mon: no alarm", fun quiet/0}].

crypto() ->
    Key = <<1:256>>,
    {Text, Tag} = crypto:crypto_one_time_aead(aes_256_gcm, Key, <<2:96>>, <<"secret">>, <<>>, true),
    {Public, Private} = crypto:generate_key(eddsa, ed25519),
    Signature = crypto:sign(eddsa, none, Text, [Private, ed25519]),
    {binary:encode_hex(crypto:hash(sha3_256, "abc")), binary:encode_hex(<<Text/binary, Tag/binary>>),
     crypto:verify(eddsa, none, Text, Signature, [Public, ed25519])}.

public_key() ->
    {Server, Client} = otp_keys:tls(),
    Chain = [proplists:get_value(cert, Server) | proplists:get_value(cacerts, Server)],
    [Root | _] = [Der || Der <- proplists:get_value(cacerts, Client),
                         public_key:pkix_is_self_signed(Der)],
    Path = [hd(Chain) | [Der || Der <- tl(Chain), not public_key:pkix_is_self_signed(Der),
                                public_key:pkix_is_issuer(hd(Chain), Der)]],
    {ok, _} = public_key:pkix_path_validation(Root, lists:reverse(Path), []),
    valid.

asn1() ->
    Key = public_key:generate_key({namedCurve, secp256r1}),
    Pem = public_key:pem_encode([public_key:pem_entry_encode('ECPrivateKey', Key)]),
    [Entry] = public_key:pem_decode(Pem),
    public_key:pem_entry_decode(Entry) =:= Key.

compile() ->
    Text = "-module(made). -export([sum/1]). sum(List) -> lists:foldl(fun erlang:'+'/2, 0, List).",
    {ok, made, Binary} = compile:forms(forms(Text), [deterministic]),
    {module, made} = code:load_binary(made, "made.beam", Binary),
    Sum = made:sum([1, 2, 39]),
    true = code:delete(made),
    Sum.

forms(Text) ->
    {ok, Tokens, _} = erl_scan:string(Text),
    Parse = fun Parse(Rest) ->
        case lists:splitwith(fun(Token) -> element(1, Token) =/= dot end, Rest) of
            {[], []} -> [];
            {Form, [Dot | More]} ->
                {ok, Parsed} = erl_parse:parse_form(Form ++ [Dot]),
                [Parsed | Parse(More)]
        end
    end,
    Parse(Tokens).

compile_error() ->
    {error, [{_, [{_, Module, Why}]}], []} =
        compile:forms(forms("-module(bad). -export([f/0]). f() -> X."), [return]),
    lists:flatten(Module:format_error(Why)).

eunit() ->
    Good = {"good", fun() -> ok end},
    Bad = {"bad", fun() -> exit(on_purpose) end},
    {eunit:test([Good, Good], [no_tty]), eunit:test([Good, Bad], [no_tty])}.

traced(Number) -> Number * 2.

dbg() ->
    Self = self(),
    {ok, _} = dbg:tracer(process, {fun(Event, _) -> Self ! {seen, Event}, seen end, none}),
    {ok, _} = dbg:p(Self, [call]),
    {ok, [{matched, _, 1} | _]} = dbg:tp(?MODULE, traced, 1, [{'_', [], [{return_trace}]}]),
    42 = ?MODULE:traced(21),
    Seen = [receive {seen, {trace, Self, call, Call}} -> {call, Call};
                    {seen, {trace, Self, return_from, What, Value}} -> {return_from, What, Value}
            after ?PATIENCE -> timeout end || _ <- [call, return]],
    ok = dbg:stop_clear(),
    Seen.

observer() ->
    Info = observer_backend:sys_info(),
    [is_integer(proplists:get_value(Key, Info)) orelse {Key, proplists:get_value(Key, Info)}
     || Key <- [uptime, process_count, total, processes_used]].

msacc() ->
    true = msacc:start(50),
    Stats = msacc:stats(),
    lists:usort([maps:get(type, Thread) || Thread <- Stats]) =/= [].

restart() ->
    Reports = logger:get_primary_config(),
    Spec = {#{strategy => one_for_one, intensity => 3, period => 10},
            [#{id => child, start => {proc_lib, start_link, [erlang, apply, [fun child/0, []]]}}]},
    ok = logger:set_primary_config(level, none),
    {ok, Supervisor} = supervisor:start_link(?MODULE, Spec),
    [{child, First, _, _}] = supervisor:which_children(Supervisor),
    Monitor = monitor(process, First),
    exit(First, kill),
    receive {'DOWN', Monitor, process, First, _} -> ok end,
    [{child, Second, _, _}] = supervisor:which_children(Supervisor),
    unlink(Supervisor),
    exit(Supervisor, shutdown),
    ok = logger:set_primary_config(Reports),
    is_pid(Second) andalso First =/= Second.

init(Spec) -> {ok, Spec}.

child() ->
    proc_lib:init_ack({ok, self()}),
    receive stop -> ok end.

alarms() ->
    ok = alarm_handler:set_alarm({otp_apps, on_purpose}),
    Set = lists:keyfind(otp_apps, 1, alarm_handler:get_alarms()),
    ok = alarm_handler:clear_alarm(otp_apps),
    {Set, lists:keyfind(otp_apps, 1, alarm_handler:get_alarms())}.

cpu_sup() ->
    Averages = [cpu_sup:avg1(), cpu_sup:avg5(), cpu_sup:avg15()],
    _ = cpu_sup:util(),
    Util = cpu_sup:util([per_cpu]),
    Processors = [Number || {Number, Busy, _, _} <- Util, is_number(Busy)],
    {lists:all(fun is_integer/1, Averages), cpu_sup:nprocs() > 0,
     length(Processors) =:= erlang:system_info(logical_processors_available)}.

memsup() ->
    Data = memsup:get_system_memory_data(),
    Value = fun(Key) -> proplists:get_value(Key, Data) end,
    {Total, Free} = {Value(total_memory), Value(free_memory)},
    {Total > 64 bsl 20, Free > 0 andalso Free < Total, Value(system_total_memory) =:= Total}.

%% The file system that is the root: its size in KiB and how full it is in percent.
disksup() ->
    Disks = disksup:get_disk_data(),
    [{is_integer(Size) andalso Size > 0, Used >= 0 andalso Used =< 100}
     || {"/", Size, Used} <- Disks].

quiet() ->
    [Id || {Id, _} <- alarm_handler:get_alarms(),
           Id =:= system_memory_high_watermark orelse Id =:= {disk_almost_full, "/"}].
