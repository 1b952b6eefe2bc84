{application, crypto_check,
 [{description, "Uses the crypto NIF and ends the machine with the verdict"},
  {vsn, "1.0.0"},
  {modules, [crypto_check]},
  {registered, []},
  {applications, [kernel, stdlib, crypto]},
  {mod, {crypto_check, []}}]}.
