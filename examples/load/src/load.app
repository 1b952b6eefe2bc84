{application, load,
 [{description, "A server to be put under load, and to be asked how it bears it"},
  {vsn, "1.0.0"},
  {modules, [load_app, load_page, load_server]},
  {registered, []},
  {applications, [kernel, stdlib]},
  {mod, {load_app, []}},
  {env, [{port, 8080}]}]}.
