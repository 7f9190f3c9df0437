"""Writes small place databases in MaxMind's City and ASN layouts over the documentation ranges (RFC 5737, RFC 3849).

usage: make_places.py FOLDER
"""
import pathlib
import sys

from mmdb_writer import MMDBWriter
from netaddr import IPSet

# network, country, city, latitude, longitude, radius in km, time zone, autonomous system, operator
PLACES = [
    ("192.0.2.0/25", "FR", "Paris", 48.8566, 2.3522, 20, "Europe/Paris", 64496, "Example Home Broadband"),
    ("192.0.2.128/25", "FR", "Paris", 48.8606, 2.3376, 10, "Europe/Paris", 64497, "Example Office Network"),
    ("198.51.100.0/25", "FR", "Lyon", 45.7640, 4.8357, 50, "Europe/Paris", 64498, "Example Mobile"),
    ("198.51.100.128/25", "US", "New York", 40.7128, -74.0060, 20, "America/New_York", 64499, "Example Hosting"),
    ("203.0.113.0/24", "SG", "Singapore", 1.3521, 103.8198, 20, "Asia/Singapore", 64500, "Example Singapore Broadband"),
    ("2001:db8:1::/48", "FR", "Paris", 48.8566, 2.3522, 20, "Europe/Paris", 64496, "Example Home Broadband"),
    ("2001:db8:2::/48", "SG", "Singapore", 1.3521, 103.8198, 20, "Asia/Singapore", 64500, "Example Singapore Broadband"),
]


def writer(kind):
    return MMDBWriter(6, kind, ipv4_compatible=True, description="made for tests", languages=["en"])


def main():
    folder = pathlib.Path(sys.argv[1])
    city, asn = writer("GeoLite2-City"), writer("GeoLite2-ASN")
    for network, country, name, lat, lon, radius, zone, number, operator in PLACES:
        city.insert_network(IPSet([network]), {
            "country": {"iso_code": country},
            "city": {"names": {"en": name}},
            "location": {"latitude": lat, "longitude": lon, "accuracy_radius": radius, "time_zone": zone},
        })
        asn.insert_network(IPSet([network]), {
            "autonomous_system_number": number,
            "autonomous_system_organization": operator,
        })
    city.to_db_file(str(folder / "city.mmdb"))
    asn.to_db_file(str(folder / "asn.mmdb"))


if __name__ == "__main__":
    main()
