%% What keeps data in files: dets, disk_log, mnesia, logger.
-module(otp_store).

-export([all/0]).

-record(item, {key, group, value}).

all() ->
    [{"dets: survives closing", fun dets/0},
     {"dets: is repaired", fun dets_repair/0},
     {"disk_log: halt log", fun halt_log/0},
     {"disk_log: wrap log", fun wrap_log/0},
     {"disk_log: is repaired", fun log_repair/0},
     {"logger: files are rotated", fun logger/0},
     {"mnesia: disc_copies survive a restart", fun mnesia/0},
     {"erl_tar: an archive comes back", fun tar/0}].

dets() ->
    Directory = otp_check:scratch("dets"),
    Options = [{file, filename:join(Directory, "table")}, {type, bag}, {keypos, 2}],
    {ok, table} = dets:open_file(table, Options),
    ok = dets:insert(table, [#item{key = N rem 100, group = N} || N <- lists:seq(1, 3000)]),
    ok = dets:close(table),
    {ok, table} = dets:open_file(table, Options),
    ok = dets:delete(table, 7),
    Result = {dets:info(table, size), length(dets:lookup(table, 8)), dets:lookup(table, 7),
              dets:foldl(fun(#item{group = N}, Sum) -> Sum + N end, 0, table)},
    ok = dets:close(table),
    ok = file:del_dir_r(Directory),
    Result.

%% A table that was not closed, as after a crash.
dets_repair() ->
    Directory = otp_check:scratch("dets"),
    {Open, Left} = {filename:join(Directory, "open"), filename:join(Directory, "left")},
    {ok, table} = dets:open_file(table, [{file, Open}]),
    ok = dets:sync(table),
    ok = dets:insert(table, [{N, N * N} || N <- lists:seq(1, 1000)]),
    _ = dets:first(table),
    {ok, _} = file:copy(Open, Left),
    ok = dets:close(table),
    Before = dets:open_file(table, [{file, Left}, {repair, false}]),
    {ok, table} = dets:open_file(table, [{file, Left}]),
    Result = {element(1, element(2, Before)), dets:info(table, size), dets:lookup(table, 31)},
    ok = dets:close(table),
    ok = file:del_dir_r(Directory),
    Result.

halt_log() ->
    Directory = otp_check:scratch("log"),
    File = filename:join(Directory, "log"),
    {ok, log} = disk_log:open([{name, log}, {file, File}]),
    ok = disk_log:log_terms(log, lists:seq(1, 500)),
    ok = disk_log:sync(log),
    ok = disk_log:truncate(log, head),
    ok = disk_log:log(log, "term"),
    ok = disk_log:close(log),
    {ok, log} = disk_log:open([{name, log}, {file, File}, {mode, read_only}]),
    {_, Terms} = disk_log:chunk(log, start),
    ok = disk_log:close(log),
    ok = file:del_dir_r(Directory),
    Terms.

wrap_log() ->
    Directory = otp_check:scratch("log"),
    File = filename:join(Directory, "log"),
    {ok, log} = disk_log:open([{name, log}, {file, File}, {type, wrap}, {size, {4000, 3}}]),
    [ok = disk_log:log(log, {N, lists:duplicate(50, $x)}) || N <- lists:seq(1, 400)],
    ok = disk_log:close(log),
    {ok, Names} = file:list_dir(Directory),
    {ok, log} = disk_log:open([{name, log}, {file, File}, {mode, read_only}, {type, wrap},
                               {size, {4000, 3}}]),
    Last = last(disk_log:chunk(log, start), none),
    ok = disk_log:close(log),
    ok = file:del_dir_r(Directory),
    {lists:sort(Names), Last}.

last(eof, Last) -> Last;
last({More, Terms}, _) -> last(disk_log:chunk(log, More), element(1, lists:last(Terms))).

%% A log that was not closed, with half a term at its end.
log_repair() ->
    Directory = otp_check:scratch("log"),
    {Open, Left} = {filename:join(Directory, "open"), filename:join(Directory, "left")},
    {ok, log} = disk_log:open([{name, log}, {file, Open}]),
    ok = disk_log:log_terms(log, lists:seq(1, 500)),
    ok = disk_log:sync(log),
    {ok, Bytes} = file:read_file(Open),
    ok = disk_log:close(log),
    ok = file:write_file(Left, binary:part(Bytes, 0, byte_size(Bytes) - 3)),
    {repaired, log, {recovered, Recovered}, {badbytes, Bad}} =
        disk_log:open([{name, log}, {file, Left}, {quiet, true}]),
    ok = disk_log:close(log),
    ok = file:del_dir_r(Directory),
    {Recovered, Bad > 0}.

logger() ->
    Directory = otp_check:scratch("logger"),
    File = filename:join(Directory, "log"),
    Config = #{file => File, max_no_bytes => 2000, max_no_files => 3},
    Formatter = {logger_formatter, #{template => [msg, "\n"]}},
    ok = logger:add_handler(here, logger_std_h, #{config => Config, formatter => Formatter}),
    ok = logger:set_handler_config(default, level, none),
    [logger:error("line ~b of a log that is rotated before long", [N]) || N <- lists:seq(1, 200)],
    ok = logger_std_h:filesync(here),
    ok = logger:set_handler_config(default, level, all),
    ok = logger:remove_handler(here),
    {ok, Names} = file:list_dir(Directory),
    Sizes = [filelib:file_size(filename:join(Directory, Name)) || Name <- Names],
    ok = file:del_dir_r(Directory),
    {lists:sort(Names), lists:all(fun(Size) -> Size < 3000 end, Sizes)}.

mnesia() ->
    Directory = otp_check:scratch("mnesia"),
    stopped = mnesia:stop(),
    ok = application:set_env(mnesia, dir, Directory),
    ok = mnesia:create_schema([node()]),
    ok = mnesia:start(),
    Attributes = {attributes, record_info(fields, item)},
    [{atomic, ok} = mnesia:create_table(Table, [{record_name, item}, Attributes, {Copies, [node()]}])
     || {Table, Copies} <- [{disc, disc_copies}, {only, disc_only_copies}]],
    {atomic, ok} = mnesia:add_table_index(disc, #item.group),
    Items = [#item{key = N, group = N rem 10, value = {N}} || N <- lists:seq(1, 1000)],
    Insert = fun() -> [mnesia:write(Table, Item, write) || Table <- [disc, only], Item <- Items], ok end,
    {atomic, ok} = mnesia:transaction(Insert),
    Aborted = mnesia:transaction(fun() -> mnesia:delete({disc, 1}), mnesia:abort(on_purpose) end),
    dumped = mnesia:dump_log(),
    Backup = filename:join(Directory, "backup"),
    ok = mnesia:backup(Backup),
    ok = restart(),
    Read = fun() -> {mnesia:read(disc, 500), mnesia:read(only, 501),
                     length(mnesia:index_read(disc, 3, #item.group))} end,
    Survived = mnesia:transaction(Read),
    {atomic, ok} = mnesia:transaction(fun() -> mnesia:delete({disc, 500}) end),
    ok = restart(),
    Deleted = mnesia:transaction(Read),
    {atomic, Restored} = mnesia:restore(Backup, []),
    Again = mnesia:transaction(Read),
    stopped = mnesia:stop(),
    ok = file:del_dir_r(Directory),
    {Aborted, Survived, Deleted, lists:sort(Restored), Again =:= Survived}.

restart() ->
    stopped = mnesia:stop(),
    ok = mnesia:start(),
    mnesia:wait_for_tables([disc, only], 60000).

tar() ->
    Directory = otp_check:scratch("tar"),
    Tar = filename:join(Directory, "archive.tar.gz"),
    Bytes = binary:copy(<<"text">>, 10000),
    ok = erl_tar:create(Tar, [{"a/file", Bytes}, {"b", <<>>}], [compressed]),
    ok = erl_tar:extract(Tar, [compressed, {cwd, Directory}]),
    {ok, Names} = erl_tar:table(Tar, [compressed]),
    {ok, Back} = file:read_file(filename:join(Directory, "a/file")),
    ok = file:del_dir_r(Directory),
    {Names, Back =:= Bytes}.
