{application,hello,[{description,"says " "hello"},{vsn,"1.0"},{modules,[hello,'Elixir.Hello']},
  {registered,[]},{applications,[kernel,stdlib]},{env,[{rate,1.5e-3},{key,<<"bin",1,2:4>>}]},{mod,{hello,[]}}]}.
