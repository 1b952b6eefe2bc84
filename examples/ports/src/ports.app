{application, ports,
 [{description, "Uses ports, os:cmd and the native resolver, and ends the machine with the verdict"},
  {vsn, "1.0.0"},
  {modules, [ports_app, ports_check, ports_leak, ports_options]},
  {registered, []},
  {applications, [kernel, stdlib, sasl, os_mon]},
  {mod, {ports_app, []}}]}.
