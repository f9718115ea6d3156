"""An app whose package `linker` checks its settings and has a default for its timer."""

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp()


@app.timer_trigger(arg_name="timer", schedule="%SAMPLE_SCHEDULE%")
def poll(timer: func.TimerRequest) -> None:
    return None
