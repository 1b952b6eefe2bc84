%% HTTP/1.1 (RFC 9112), as much as a load generator needs: GET without a body, connections that
%% stay open, one request at a time.
-module(load_server).

-export([listen/1, start_link/1, accept/1]).

%% More connections than ever wait at the same time.
-define(BACKLOG, 1024).

listen(Port) ->
    gen_tcp:listen(Port, [binary, {active, false}, {reuseaddr, true}, {nodelay, true},
                          {backlog, ?BACKLOG}]).

start_link(Listener) ->
    {ok, proc_lib:spawn_link(?MODULE, accept, [Listener])}.

%% Each connection has a process of its own: the one that accepted it; another takes its place.
accept(Listener) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    Server = spawn(fun() -> receive go -> serve(Socket, <<>>) end end),
    ok = gen_tcp:controlling_process(Socket, Server),
    Server ! go,
    accept(Listener).

serve(Socket, Received) ->
    case split(Received) of
        more ->
            receive_more(Socket, Received);
        {Path, Rest} ->
            case gen_tcp:send(Socket, response(load_page:get(Path))) of
                ok -> serve(Socket, Rest);
                {error, _} -> gen_tcp:close(Socket)
            end
    end.

receive_more(Socket, Received) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, Data} when Received =:= <<>> -> serve(Socket, Data);
        {ok, Data} -> serve(Socket, <<Received/binary, Data/binary>>);
        {error, _} -> gen_tcp:close(Socket)
    end.

%% The path of the first request, and what follows the request.
split(Received) ->
    case binary:split(Received, <<"\r\n\r\n">>) of
        [<<"GET ", Head/binary>>, Rest] ->
            [Path, _] = binary:split(Head, <<" ">>),
            {Path, Rest};
        [_] ->
            more
    end.

response({Code, Body}) ->
    [<<"HTTP/1.1 ">>, Code, <<"\r\nContent-Type: text/plain\r\nContent-Length: ">>,
     integer_to_binary(iolist_size(Body)), <<"\r\n\r\n">>, Body].
