"""The plain service as a Lambda function: a loop at the Runtime API, which here is the runtime and the handler in one."""

import http.client
import json
import os

from service import ConversationService

server, _, prefix = os.environ["AWS_LAMBDA_RUNTIME_API"].removeprefix("http://").partition("/")
base = (f"/{prefix}" if prefix else "") + "/2018-06-01/runtime"


def handle(service, event):
    conversation_id = event["pathParameters"]["conversation_id"]
    if event["requestContext"]["http"]["method"] == "POST":
        message = json.loads(event["body"])
        body = service.add_message(conversation_id, message["role"], message["content"])
    else:
        body = {"object": "list", "data": service.get_recent_messages(conversation_id)}
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}


def main():
    service = ConversationService()
    connection = http.client.HTTPConnection(server)
    while True:
        connection.request("GET", base + "/invocation/next")
        answer = connection.getresponse()
        request = answer.headers["lambda-runtime-aws-request-id"]
        event = json.loads(answer.read())
        reply = json.dumps(handle(service, event))
        connection.request("POST", f"{base}/invocation/{request}/response", reply)
        connection.getresponse().read()


main()
