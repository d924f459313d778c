#!/usr/bin/env bash
# statelint 3.1.0 and asl-validator 4.0.0: both pass a state machine whose second retrier can never be reached.
#
# The Amazon States Language (states-language.net, Errors) demands that States.ALL stands alone, and in the last retrier.
# Expected: a validator reports a retrier behind it. Needs npm.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check statelint==3.1.0
cat >"$folder/machine.json" <<'JSON'
{
  "StartAt": "Ask",
  "States": {
    "Ask": {
      "Type": "Task",
      "Resource": "arn:aws:lambda:eu-central-1:123456789012:function:ask",
      "Retry": [
        {"ErrorEquals": ["States.ALL"], "MaxAttempts": 1},
        {"ErrorEquals": ["Special"], "MaxAttempts": 5}
      ],
      "End": true
    }
  }
}
JSON
cd "$folder"
lint=$("$folder/venv/bin/statelint" machine.json)
valid=$(npm exec --yes --quiet --cache "$folder/npm" asl-validator@4.0.0 -- --json-path machine.json)
echo "statelint: ${lint:-nothing to report}"
echo "asl-validator: $valid"
[ -z "$lint" ] && grep -q 'is valid' <<<"$valid" && echo 'as described: both pass it'
