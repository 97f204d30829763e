from suite.stand_in import run

run("allocate")
