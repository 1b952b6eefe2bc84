{application, hello,
 [{description, "A web page from a machine without an operating system"},
  {vsn, "1.0.0"},
  {modules, [hello_app, hello_page]},
  {registered, []},
  {applications, [kernel, stdlib, inets]},
  {mod, {hello_app, []}},
  {env, [{port, 8080}]}]}.
