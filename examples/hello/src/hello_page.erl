%% The pages, as a module of OTP's web server (see `httpd(3)`).
%%
%%   /                  a greeting with the versions that answer
%%   /stop?status=N     ends the virtual machine through `init:stop/1`
%%   /halt?status=N     ends it at once through `erlang:halt/1`
%%   anything else      404
%%
%% An example may be stopped by its visitors; a service would not offer the last two.
-module(hello_page).

-include_lib("inets/include/httpd.hrl").

-export([do/1]).

do(#mod{request_uri = Uri}) ->
    Parts = uri_string:parse(Uri),
    {Code, Body} = page(maps:get(path, Parts), maps:get(query, Parts, "")),
    respond(Code, unicode:characters_to_binary(Body)).

page("/", _) ->
    {200, ["Hello from unibeam\n",
           "OTP ", erlang:system_info(otp_release),
           ", ERTS ", erlang:system_info(version),
           ", ", atom_to_list(erlang:system_info(emu_flavor)), "\n"]};
page("/stop", Query) ->
    Status = status(Query),
    init:stop(Status),
    {200, io_lib:format("stopping with status ~b~n", [Status])};
page("/halt", Query) ->
    erlang:halt(status(Query));
page(_, _) ->
    {404, "not found\n"}.

status(Query) ->
    Fields = uri_string:dissect_query(Query),
    list_to_integer(proplists:get_value("status", Fields, "0")).

respond(Code, Body) ->
    Head = [{code, Code},
            {content_type, "text/plain; charset=utf-8"},
            {content_length, integer_to_list(byte_size(Body))}],
    {proceed, [{response, {response, Head, [Body]}}]}.
