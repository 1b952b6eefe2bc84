%% The application: OTP's own web server with one page.
-module(hello_app).
-behaviour(application).
-behaviour(supervisor).

-export([start/2, stop/1, init/1]).

start(_Type, _Args) ->
    {ok, Supervisor} = supervisor:start_link(?MODULE, []),
    {ok, Port} = application:get_env(hello, port),
    io:format("hello: listening on port ~b~n", [Port]),
    {ok, Supervisor}.

stop(_State) ->
    ok.

init([]) ->
    {ok, Port} = application:get_env(hello, port),
    {ok, {#{}, [web_server(Port)]}}.

web_server(Port) ->
    Config = [{port, Port},
              {bind_address, any},
              {server_name, "hello"},
              {server_root, "/tmp"},
              {document_root, "/tmp"},
              {modules, [hello_page]}],
    #{id => web_server,
      start => {inets, start, [httpd, Config, stand_alone]},
      type => supervisor}.
