{application, halt,
 [{description, "Prints a line and ends the machine: the least that a release can do"},
  {vsn, "1.0.0"},
  {modules, [halt]},
  {registered, []},
  {applications, [kernel, stdlib]},
  {mod, {halt, []}}]}.
