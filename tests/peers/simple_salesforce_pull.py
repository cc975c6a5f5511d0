"""Pulls one query to a JSONL file as simple-salesforce's users do. Prints {"records", "seconds"}.

usage: python simple_salesforce_pull.py INSTANCE_URL ACCESS_TOKEN SOQL PAGE_SIZE OUT
"""

import json
import sys
import time
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce


class Plain(HTTPAdapter):
    """The library always says https; the simulated org on loopback speaks http."""

    def send(self, request, **options):
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, **options)


def main():
    instance_url, token, soql, page_size, out = sys.argv[1:]
    session = requests.Session()
    session.mount("https://", Plain())
    org = Salesforce(instance=urlsplit(instance_url).netloc, session_id=token, version="62.0", session=session)
    org.headers["Sforce-Query-Options"] = f"batchSize={page_size}"
    begun = time.perf_counter()
    records = 0
    with open(out, "w", encoding="utf-8") as file:
        for record in org.query_all_iter(soql):
            file.write(json.dumps(record) + "\n")
            records += 1
    print(json.dumps({"records": records, "seconds": time.perf_counter() - begun}))


main()
