{application, smp_check,
 [{description, "Keeps all processors busy and looks whether anything stops"},
  {vsn, "1.0.0"},
  {modules, [smp_check]},
  {registered, []},
  {applications, [kernel, stdlib]},
  {mod, {smp_check, []}}]}.
