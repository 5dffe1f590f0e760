"""The state of a GPU while it is measured: clocks, temperature, power, reasons; by NVIDIA's management library.

What cannot be read is said, never guessed: without nvidia-ml-py or a driver `state` returns the reason.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

REASONS = {
    "nvmlClocksEventReasonGpuIdle": "idle",
    "nvmlClocksEventReasonApplicationsClocksSetting": "application clocks",
    "nvmlClocksEventReasonSwPowerCap": "power cap",
    "nvmlClocksThrottleReasonHwSlowdown": "hardware slowdown",
    "nvmlClocksEventReasonSyncBoost": "sync boost",
    "nvmlClocksEventReasonSwThermalSlowdown": "thermal slowdown by software",
    "nvmlClocksThrottleReasonHwThermalSlowdown": "thermal slowdown by hardware",
    "nvmlClocksThrottleReasonHwPowerBrakeSlowdown": "power brake",
}
SLOWED = frozenset(REASONS.values()) - {"idle", "application clocks", "sync boost"}
"""Reasons for which a time is not the device's own."""


def state(index: int = 0) -> dict[str, Any]:
    """Clocks in MHz, degrees C, power in W, and the reasons for the clocks; or {"unknown": why nothing is known}."""
    try:
        nvml = import_module("pynvml")
    except ImportError:
        return {"unknown": "nvidia-ml-py is not installed"}
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return {"unknown": f"no NVIDIA driver: {error}"}
    try:
        device = nvml.nvmlDeviceGetHandleByIndex(index)
        bits = nvml.nvmlDeviceGetCurrentClocksEventReasons(device)
        return {
            "name": str(nvml.nvmlDeviceGetName(device)),
            "driver": str(nvml.nvmlSystemGetDriverVersion()),
            "sm_mhz": nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_SM),
            "memory_mhz": nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_MEM),
            "most_sm_mhz": nvml.nvmlDeviceGetMaxClockInfo(device, nvml.NVML_CLOCK_SM),
            "celsius": nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU),
            "watts": nvml.nvmlDeviceGetPowerUsage(device) / 1000,
            "reasons": [said for name, said in REASONS.items() if bits & getattr(nvml, name)],
        }
    except nvml.NVMLError as error:
        return {"unknown": str(error)}
    finally:
        nvml.nvmlShutdown()


def slowed(found: dict[str, Any]) -> list[str]:
    """The reasons, among those of a state, for which times are not to be trusted."""
    return [reason for reason in found.get("reasons", []) if reason in SLOWED]
