"""IAM tokens as botocore makes them: a list of requests in JSON on standard input, the list of their tokens on standard output.

A request says who takes the token ("host", "port" and "user" of a database, or "name", "user" and "serverless" of a cache), the
"region", the "credentials" (key, secret, session token or null), and "at", the time it is signed, as X-Amz-Date writes it.
"""

import datetime
import json
import sys

import botocore.auth
import botocore.session
from botocore.credentials import Credentials
from botocore.model import ServiceId
from botocore.signers import RequestSigner


def token(session, request):
    at = datetime.datetime.strptime(request["at"], "%Y%m%dT%H%M%SZ")
    botocore.auth.get_current_datetime = lambda: at
    key, secret, session_token = request["credentials"]
    if "host" in request:
        client = session.create_client(
            "rds", request["region"], aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token=session_token
        )
        return client.generate_db_auth_token(request["host"], request["port"], request["user"])
    # botocore has no function for caches: this is what Amazon's documentation tells Python programs to do.
    credentials = Credentials(key, secret, session_token)
    events = session.get_component("event_emitter")
    signer = RequestSigner(ServiceId("elasticache"), request["region"], "elasticache", "v4", credentials, events)
    params = {"Action": "connect", "User": request["user"]}
    if request["serverless"]:
        params["ResourceType"] = "ServerlessCache"
    signed = {"method": "GET", "url": f"https://{request['name']}/", "body": params, "headers": {}, "context": {}}
    url = signer.generate_presigned_url(signed, "connect", expires_in=900)
    return url.removeprefix("https://")


session = botocore.session.Session()
print(json.dumps([token(session, request) for request in json.load(sys.stdin)]))
