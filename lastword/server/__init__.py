"""`lastword serve`: a warm engine behind HTTP, by fastapi and uvicorn (`lastword[serve]`).

Nothing here is imported before a server is started. From a request to its answer:

guard.py       every request first: Host, key, size and time of the body; headers of every answer;
               metrics and the line of the log
app.py         `make_app`: the routers below, the error bodies, the OpenAPI document, start and stop
routes/        one module a group of paths; each has a `router`, made by `errors.new_router`;
               direct.py calls what JSON is posted to beside fastapi's router, which is slow
embeddings/    the paths of text-embeddings-inference and of OpenAI
messages.py    pydantic models of requests and answers; the limits on k, texts and lists are there
turns.py       `in_turn`: a place for the request (else 429), its time limit (504), and its end when
               the client goes away; every route that computes anything runs within it
batching.py    `BatchQueue.submit(run, item, tokens)`: items of many clients go to one thread, those
               of one `run` together as `run([item, ...])`, bounded by tokens and by waiting
searching.py   what a batch of searches computes, from `Question`s to JSON
indexes.py     the open engines by name; watching.py takes up new generations
state.py       `ServerState`, one a server, at `request.app.state.server`: settings, engines, queue,
               threads, metrics, log
listening.py   the socket; connections.py closes those on which nothing is asked; running.py is
               uvicorn and signals

A new group of paths is a module with `router = new_router()`, included by `app.make_app`. Its
routes are `async def`, compute within `await in_turn(request, ...)`, and raise `ServedError`.
"""
