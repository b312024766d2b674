#!/bin/sh
# The API with nothing but curl: every route once, and what to look at in the answers.
#
#     sh examples/curl.sh                          # beside a running `make run`
#     sh examples/curl.sh https://api.example.com  # any other deployment; API_TOKEN is its bearer token
set -eu
api="${1:-${API_URL:-http://127.0.0.1:9000}}/v1"
trip="trip-$$-$(date +%s)"
ask() { # ask METHOD PATH [curl's arguments]: shows the request, then the answer with its Cache-Status
    method=$1 path=$2
    shift 2
    printf '\n%s %s\n' "$method" "$path"
    curl --silent --show-error --fail-with-body --globoff --request "$method" ${API_TOKEN:+--header "authorization: Bearer $API_TOKEN"} \
        --header 'content-type: application/json' --write-out '\n%{http_code}  Cache-Status: %header{cache-status}\n' "$@" "$api$path"
}

# Created with a name of one's own. An Idempotency-Key makes it safe to send any of these again.
ask POST /conversations --header "idempotency-key: $trip-create" --data "{\"id\":\"$trip\",\"title\":\"A trip to Lisbon\",\"metadata\":{\"trip\":\"$trip\"}}"

# One message, or up to 100; one with an id of its own is stored once however often it is sent.
ask POST "/conversations/$trip/messages" --data '{"id":"m1","role":"user","content":"A weekend in Lisbon?"}'
ask POST "/conversations/$trip/messages" --data '{"id":"m1","role":"user","content":"A weekend in Lisbon?"}'
ask POST "/conversations/$trip/messages" --data '{"messages":[{"role":"assistant","content":"In May."},{"role":"user","content":"And the food?"}]}'

# The last 100 come from Redis, and are as fresh as Postgres: "redis; hit".
ask GET "/conversations/$trip/messages"
# All of history comes from Postgres, page by page.
ask GET "/conversations/$trip/messages?after=1&limit=1"
# The same messages as items of the OpenAI Conversations API.
ask POST "/conversations/$trip/items" --data '{"items":[{"role":"user","content":"Noted?"}]}'
ask GET "/conversations/$trip/items?limit=2"
ask GET "/conversations/$trip/items/m1"
ask DELETE "/conversations/$trip/items/m1"

# What follows a position is replaced in one commit; with "if-match" only at the version that its ETag had.
ask PUT "/conversations/$trip/messages?after=2" --header 'if-match: "5"' --data '{"messages":[{"role":"user","content":"And the music?"}]}'
# A copy up to a position, to go on in another way.
ask POST /conversations --data "{\"id\":\"$trip-fork\",\"fork_of\":\"$trip\",\"at\":2}"
ask DELETE "/conversations/$trip-fork"

# A record is bytes under a key, beside the messages: an agent's state. Its ETag is its revision, by which writes are conditional.
ask PUT "/conversations/$trip/records/agent/state" --header 'if-none-match: *' --data '{"step":1}'
ask GET "/conversations/$trip/records/agent/state"
# Several in one commit, or none of them; also in one commit with messages.
ask POST "/conversations/$trip/records" --data '{"records":[{"key":"agent/state","value":"{\"step\":2}","content_type":"application/json","if_match":1},{"key":"agent/image","base64":"iVBORw0KGgo=","content_type":"image/png"}]}'
ask POST "/conversations/$trip/messages" --data '{"messages":[{"role":"assistant","content":"Fado, on Friday."}],"records":[{"key":"agent/state","value":"{\"step\":3}","content_type":"application/json"}]}'
ask GET "/conversations/$trip/records?prefix=agent/&values=true"
ask DELETE "/conversations/$trip/records/agent/image"
ask DELETE "/conversations/$trip/records?prefix=agent/"
# The owner's own, outside of any conversation.
ask PUT "/records/$trip/settings" --data '{"language":"pt"}'
ask GET "/records/$trip/settings"
ask POST /records --data "{\"records\":[{\"key\":\"$trip/model\",\"value\":\"small\"},{\"key\":\"$trip/draft\",\"delete\":true}]}"
ask GET "/records?prefix=$trip/&order=desc"
ask DELETE "/records/$trip/model"
ask DELETE "/records?prefix=$trip/"

ask POST "/conversations/$trip" --data '{"title":"Two days in Lisbon"}'
ask GET "/conversations/$trip"
# The newest activity first; here those whose metadata has a pair.
ask GET "/conversations?limit=5&metadata[trip]=$trip"
ask DELETE "/conversations/$trip"
ask GET '/health?deep=1'
printf '\nevery route answered\n'
