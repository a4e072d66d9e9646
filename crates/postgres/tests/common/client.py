"""A service in Python, played by message-db-py: each line names a method and its arguments, as JSON,
and is answered by a line with what came of it. `../foreign.rs` tells it what to do."""

import json
import sys

from message_db.client import MessageDB

client = MessageDB.from_url(sys.argv[1])
for line in sys.stdin:
    asked = json.loads(line)
    try:
        answer = {"result": getattr(client, asked["method"])(**asked["arguments"])}
    except ValueError as error:
        answer = {"error": str(error)}
    # Times become text; everything else that it hands out is JSON already.
    print(json.dumps(answer, default=str), flush=True)
