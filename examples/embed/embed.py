"""Run the engine inside this process, deploy a folder, score one request."""

import sys
from pathlib import Path

from modelyard import Engine
from modelyard.spec import read_service

with Engine() as engine:
    service = read_service(Path(sys.argv[1]))
    operation = engine.client.deploy(service)
    engine.client.wait(operation.id)
    answer = engine.client.score(service.name, b'{"data": [1, 2, 3]}')
    print(answer.status, answer.body.decode())
    engine.client.delete(service.name)
