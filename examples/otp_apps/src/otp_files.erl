%% What the module `file` promises.
-module(otp_files).

-export([all/0]).

-include_lib("kernel/include/file.hrl").

all() ->
    [{"file: " ++ Name, fun() -> within(Check) end}
     || {Name, Check} <-
            [{"modes of opening", fun modes/1},
             {"rename over an open file", fun rename/1},
             {"remove an open file", fun remove/1},
             {"holes", fun holes/1},
             {"append and truncate", fun append/1},
             {"pread and pwrite", fun positions/1},
             {"delayed writes and read ahead", fun buffers/1},
             {"allocate, advise, sync", fun advice/1},
             {"times", fun times/1},
             {"attributes", fun attributes/1},
             {"links", fun links/1},
             {"directories", fun directories/1},
             {"names in Unicode", fun unicode/1},
             {"errors", fun errors/1},
             {"copy and sendfile", fun copies/1},
             {"many open files", fun many/1},
             {"writers at the same time", fun writers/1},
             {"devices", fun devices/1}]].

within(Check) ->
    Directory = otp_check:scratch("files"),
    try Check(fun(Name) -> filename:join(Directory, Name) end)
    after ok = file:del_dir_r(Directory)
    end.

write(Path, Bytes) -> ok = file:write_file(Path, Bytes).

read(Path) ->
    {ok, Bytes} = file:read_file(Path),
    Bytes.

modes(At) ->
    A = At("a"),
    Open = fun(Modes) ->
        case file:open(A, Modes) of
            {ok, File} -> file:close(File);
            Error -> Error
        end
    end,
    First = Open([read]),
    write(A, <<"abc">>),
    Kept = {Open([read, write]), read(A)},
    {First, Kept, Open([write, exclusive]), Open([write]), read(A), Open([directory])}.

rename(At) ->
    write(At("old"), <<"old">>),
    write(At("new"), <<"new">>),
    {ok, Old} = file:open(At("old"), [read, binary]),
    {ok, New} = file:open(At("new"), [read, write, raw, binary]),
    ok = file:rename(At("old"), At("new")),
    %% Both are still what they were.
    Seen = {file:read(Old, 9), file:pread(New, 0, 9), read(At("new"))},
    ok = file:pwrite(New, 0, <<"NEW">>),
    Written = {file:pread(New, 0, 9), read(At("new")), file:read_file(At("old"))},
    ok = file:close(Old),
    ok = file:close(New),
    {Seen, Written}.

remove(At) ->
    {ok, File} = file:open(At("gone"), [write, read, raw, binary]),
    ok = file:write(File, <<"still here">>),
    ok = file:delete(At("gone")),
    write(At("gone"), <<"another">>),
    {file:pread(File, 0, 99), file:close(File), read(At("gone"))}.

holes(At) ->
    Far = 1 bsl 40,
    {ok, File} = file:open(At("sparse"), [read, write, raw, binary]),
    ok = file:pwrite(File, Far, <<"end">>),
    Read = [file:pread(File, Place, 4) || Place <- [0, Far - 2, Far + 1, Far + 3]],
    ok = file:close(File),
    {Read, filelib:file_size(At("sparse")) - Far}.

append(At) ->
    write(At("log"), <<"one ">>),
    {ok, File} = file:open(At("log"), [append, raw]),
    {ok, 0} = file:position(File, bof),
    ok = file:write(File, <<"two ">>),
    ok = file:close(File),
    {ok, Cut} = file:open(At("log"), [read, write, raw]),
    {ok, 5} = file:position(Cut, 5),
    ok = file:truncate(Cut),
    {ok, 8} = file:position(Cut, {cur, 3}),
    ok = file:truncate(Cut),
    ok = file:close(Cut),
    read(At("log")).

positions(At) ->
    {ok, File} = file:open(At("p"), [read, write, binary]),
    ok = file:pwrite(File, [{4, <<"efgh">>}, {0, <<"abcd">>}]),
    Result = {file:pread(File, [{0, 3}, {6, 9}, {8, 1}]), file:position(File, eof),
              file:position(File, {eof, -3}), file:read(File, 2), file:read(File, 2), file:read(File, 2),
              file:position(File, {bof, -1})},
    ok = file:close(File),
    Result.

buffers(At) ->
    {ok, Out} = file:open(At("b"), [write, raw, binary, {delayed_write, 1 bsl 16, 60000}]),
    [ok = file:write(Out, <<N:32>>) || N <- lists:seq(1, 5000)],
    ok = file:close(Out),
    {ok, In} = file:open(At("b"), [read, raw, binary, {read_ahead, 1000}]),
    Numbers = [begin {ok, <<N:32>>} = file:read(In, 4), N end || _ <- lists:seq(1, 5000)],
    Result = {file:read(In, 1), Numbers =:= lists:seq(1, 5000)},
    ok = file:close(In),
    Result.

advice(At) ->
    {ok, File} = file:open(At("advice"), [read, write, raw]),
    Result = [file:allocate(File, 0, 10000), file:advise(File, 0, 0, dont_need), file:datasync(File),
              file:sync(File), file:position(File, eof)],
    ok = file:close(File),
    Result.

times(At) ->
    write(At("t"), <<>>),
    Info = fun() -> {ok, Info} = file:read_file_info(At("t"), [{time, posix}]), Info end,
    #file_info{mtime = Now} = Info(),
    ok = file:change_time(At("t"), {{2001, 2, 3}, {4, 5, 6}}),
    {ok, #file_info{mtime = Then}} = file:read_file_info(At("t"), [{time, universal}]),
    ok = file:write_file_info(At("t"), #file_info{atime = 1000, mtime = 2000}, [{time, posix}]),
    #file_info{atime = Atime, mtime = Mtime, ctime = Ctime} = Info(),
    write(At("t"), <<"changed">>),
    #file_info{mtime = Changed} = Info(),
    {abs(Now - os:system_time(second)) < 60, Then, Atime, Mtime, Ctime >= Now, Changed >= Now}.

attributes(At) ->
    write(At("m"), <<"12345">>),
    ok = file:change_mode(At("m"), 8#640),
    {ok, Info} = file:read_file_info(At("m")),
    #file_info{size = Size, type = Type, access = Access, mode = Mode, links = Links} = Info,
    ok = file:change_owner(At("m"), 1, 2),
    {ok, #file_info{uid = Uid, gid = Gid}} = file:read_file_info(At("m")),
    {Size, Type, Access, integer_to_list(Mode, 8), Links, Uid, Gid}.

links(At) ->
    write(At("file"), <<"text">>),
    ok = file:make_link(At("file"), At("hard")),
    ok = file:make_symlink("file", At("soft")),
    ok = file:make_symlink("nowhere", At("dangling")),
    {ok, #file_info{links = Links}} = file:read_file_info(At("hard")),
    {ok, #file_info{type = Type}} = file:read_link_info(At("soft")),
    {Links, Type, file:read_link(At("soft")), read(At("soft")), file:read_file(At("dangling")),
     file:read_link(At("file")), file:read_file_info(At("dangling")), filelib:is_file(At("soft"))}.

directories(At) ->
    ok = filelib:ensure_path(At("d/e/f")),
    [write(At("d/" ++ Name), <<>>) || Name <- ["b", "a", "c.txt"]],
    {ok, Names} = file:list_dir(At("d")),
    Found = filelib:wildcard("**/*.txt", At(".")),
    Failed = {file:del_dir(At("d")), file:del_dir(At("d/a")), file:make_dir(At("d")),
              file:list_dir(At("d/a")), file:delete(At("d/e"))},
    ok = file:rename(At("d/e"), At("e")),
    ok = file:del_dir_r(At("d")),
    {lists:sort(Names), Found, Failed, file:list_dir(At("e")), file:list_dir(At("d")),
     file:rename(At("e"), At("e/f/g"))}.

unicode(At) ->
    Name = [16#1f600, $ , 16#e9, $ß],
    write(At(Name), <<"x">>),
    Raw = <<255, 254, "raw">>,
    write(filename:join(unicode:characters_to_binary(At("")), Raw), <<"y">>),
    {ok, Names} = file:list_dir(At(".")),
    {ok, All} = file:list_dir_all(At(".")),
    {Names =:= [Name], lists:sort(All) =:= lists:sort([Raw, Name])}.

errors(At) ->
    write(At("file"), <<>>),
    Long = lists:duplicate(256, $x),
    [file:read_file(At("none")), file:read_file(At("file/below")), file:read_file(At(".")),
     file:write_file(At("."), <<>>), file:write_file(At("none/file"), <<>>), file:read_file(At(Long)),
     file:rename(At("none"), At("other")), file:rename(At("."), At("file")), file:delete(At("none")),
     file:make_link(At("file"), At("file")), file:make_symlink("x", At("file")),
     file:read_file(<<"with", 0, "zero">>), file:open(At("file") ++ "/", [read]), file:set_cwd(At("file"))].

copies(At) ->
    Bytes = binary:copy(<<"0123456789abcdef">>, 1 bsl 16),
    write(At("from"), Bytes),
    {ok, Copied} = file:copy(At("from"), At("to")),
    {ok, Listener} = gen_tcp:listen(0, [binary, {active, false}, {ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Listener),
    Sender = spawn_link(fun() ->
        {ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary]),
        {ok, _} = file:sendfile(At("from"), Socket),
        gen_tcp:close(Socket)
    end),
    {ok, Socket} = gen_tcp:accept(Listener),
    {ok, Sent} = gen_tcp:recv(Socket, byte_size(Bytes)),
    Rest = gen_tcp:recv(Socket, 0),
    unlink(Sender),
    gen_tcp:close(Listener),
    {Copied, read(At("to")) =:= Bytes, Sent =:= Bytes, Rest}.

many(At) ->
    Files = [begin {ok, File} = file:open(At(integer_to_list(N)), [write, read, raw]), {N, File} end
             || N <- lists:seq(1, 500)],
    [ok = file:write(File, <<N:32>>) || {N, File} <- Files],
    Good = [N || {N, File} <- Files, file:pread(File, 0, 5) =:= {ok, [0, 0, N bsr 8, N band 255]}],
    [ok = file:close(File) || {_, File} <- Files],
    {ok, Names} = file:list_dir(At(".")),
    {length(Good), length(Names)}.

%% Appended lines do not mix.
writers(At) ->
    Line = fun(N) -> [integer_to_list(N), lists:duplicate(50, $.), $\n] end,
    Write = fun(N) ->
        {ok, File} = file:open(At("shared"), [append, raw]),
        [ok = file:write(File, Line(N)) || _ <- lists:seq(1, 100)],
        ok = file:close(File)
    end,
    Workers = [spawn_monitor(fun() -> Write(N) end) || N <- lists:seq(1, 8)],
    Ends = [receive {'DOWN', Monitor, process, Pid, Why} -> Why end || {Pid, Monitor} <- Workers],
    Lines = binary:split(read(At("shared")), <<"\n">>, [global, trim]),
    Whole = [iolist_to_binary(string:trim(Line(N))) || N <- lists:seq(1, 8)],
    {lists:usort(Ends), length(Lines), lists:usort(Lines) =:= lists:usort(Whole)}.

devices(_) ->
    {ok, Zero} = file:open("/dev/zero", [read, raw, binary]),
    {ok, Full} = file:open("/dev/full", [write, raw, binary]),
    {ok, Null} = file:open("/dev/null", [write, read, raw, binary]),
    Result = {file:read(Zero, 3), file:write(Full, <<"x">>), file:write(Null, <<"x">>), file:read(Null, 1)},
    [ok = file:close(Device) || Device <- [Zero, Full, Null]],
    Result.
