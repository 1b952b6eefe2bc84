%% The application: one listening socket, a few processes that accept.
-module(load_app).
-behaviour(application).
-behaviour(supervisor).

-export([start/2, stop/1, init/1]).

-define(ACCEPTORS, 4).

start(_Type, _Args) ->
    {ok, Port} = application:get_env(load, port),
    {ok, Listener} = load_server:listen(Port),
    supervisor:start_link(?MODULE, Listener).

stop(_State) ->
    ok.

init(Listener) ->
    {ok, {#{}, [acceptor(Listener, Number) || Number <- lists:seq(1, ?ACCEPTORS)]}}.

acceptor(Listener, Number) ->
    #{id => Number, start => {load_server, start_link, [Listener]}}.
