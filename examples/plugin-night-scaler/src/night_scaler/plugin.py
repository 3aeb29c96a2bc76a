"""Hook implementations only; the work is in scaler.py."""

from modelyard.hookspecs import hookimpl

from night_scaler.scaler import NightScaler

api_level = 1


@hookimpl
def offer_scalers():
    return [NightScaler()]
