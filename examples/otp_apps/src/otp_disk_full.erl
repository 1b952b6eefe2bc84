%% A full file system gives an error and nothing worse, and is as large as before when it is emptied.
-module(otp_disk_full).

-export([all/0]).

-define(MEBIBYTE, (1 bsl 20)).

all() ->
    [{"disk_full: write says so", fun write/0},
     {"disk_full: everything comes back", fun again/0},
     {"disk_full: many small files", fun small/0},
     {"disk_full: names and reading still work", fun others/0},
     {"disk_full: disk_log", fun log/0},
     {"disk_full: dets", fun dets/0},
     {"disk_full: the emulator has memory", fun memory/0}].

%% Fills the file system with one file; its size, and the error.
fill(Directory) ->
    {ok, File} = file:open(filename:join(Directory, "big"), [write, raw, binary]),
    Block = binary:copy(<<"x">>, ?MEBIBYTE),
    Fill = fun Fill() ->
        case file:write(File, Block) of
            ok -> Fill();
            Error -> Error
        end
    end,
    Error = Fill(),
    {ok, Size} = file:position(File, cur),
    ok = file:close(File),
    {Size, Error}.

within(Check) ->
    Directory = otp_check:scratch("full"),
    try Check(Directory)
    after ok = file:del_dir_r(Directory)
    end.

write() ->
    within(fun(Directory) ->
        {Size, Error} = fill(Directory),
        {Size > 8 * ?MEBIBYTE, Error, filelib:file_size(filename:join(Directory, "big")) =:= Size,
         file:write_file(filename:join(Directory, "other"), binary:copy(<<"y">>, ?MEBIBYTE))}
    end).

%% A file that is removed while it is open gives its memory back when it is closed.
again() ->
    Sizes = [within(fun(Directory) ->
        {ok, Open} = file:open(filename:join(Directory, "open"), [write, raw, binary]),
        ok = file:write(Open, binary:copy(<<"z">>, 4 * ?MEBIBYTE)),
        ok = file:delete(filename:join(Directory, "open")),
        {Size, {error, enospc}} = fill(Directory),
        ok = file:close(Open),
        Size
    end) || _ <- lists:seq(1, 3)],
    lists:max(Sizes) - lists:min(Sizes) < ?MEBIBYTE orelse Sizes.

small() ->
    within(fun(Directory) ->
        {_, {error, enospc}} = fill(Directory),
        ok = file:delete(filename:join(Directory, "big")),
        Name = fun(N) -> filename:join(Directory, integer_to_list(N)) end,
        [ok = file:write_file(Name(N), <<N:32>>) || N <- lists:seq(1, 2000)],
        {ok, <<2000:32>>} = file:read_file(Name(2000)),
        {ok, Names} = file:list_dir(Directory),
        length(Names)
    end).

others() ->
    within(fun(Directory) ->
        {Size, _} = fill(Directory),
        {Big, Moved} = {filename:join(Directory, "big"), filename:join(Directory, "moved")},
        ok = file:rename(Big, Moved),
        {ok, File} = file:open(Moved, [read, write, raw, binary]),
        Overwritten = file:pwrite(File, 0, <<"here">>),
        Read = file:pread(File, 0, 5),
        {ok, _} = file:position(File, Size div 2),
        ok = file:truncate(File),
        Appended = file:pwrite(File, Size div 2, <<"more">>),
        ok = file:close(File),
        {Overwritten, Read, Appended}
    end).

log() ->
    within(fun(Directory) ->
        {ok, log} = disk_log:open([{name, log}, {file, filename:join(Directory, "log")}]),
        ok = disk_log:log(log, before),
        {_, {error, enospc}} = fill(Directory),
        Term = binary:copy(<<"t">>, ?MEBIBYTE),
        {error, {file_error, _, Reason}} = disk_log:log(log, Term),
        ok = file:delete(filename:join(Directory, "big")),
        _ = disk_log:close(log),
        Reason
    end).

dets() ->
    within(fun(Directory) ->
        File = filename:join(Directory, "table"),
        {ok, table} = dets:open_file(table, [{file, File}]),
        ok = dets:insert(table, {before, 1}),
        ok = dets:sync(table),
        {_, {error, enospc}} = fill(Directory),
        _ = dets:insert(table, {large, binary:copy(<<"t">>, ?MEBIBYTE)}),
        {error, {file_error, _, Reason}} = dets:sync(table),
        ok = file:delete(filename:join(Directory, "big")),
        _ = dets:close(table),
        {ok, table} = dets:open_file(table, [{file, File}]),
        Found = dets:lookup(table, before),
        ok = dets:close(table),
        {Reason, Found}
    end).

memory() ->
    within(fun(Directory) ->
        {_, Error} = fill(Directory),
        Binaries = [binary:copy(<<N>>, ?MEBIBYTE) || N <- lists:seq(1, 16)],
        {Error, lists:sum([binary:at(Binary, 1000) || Binary <- Binaries])}
    end).
