/* A stand-in for libnvidia-ml.so.1: two GPUs, the second of which does not tell its power.
 * NVML_FAILS names one more call that fails with "Unknown Error", on the second GPU if it is about a GPU;
 * NVML_HANGS makes nvmlInitWithFlags never return. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, UNKNOWN = 999 };

typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned int gpu, memory; } utilization_t;

static int handles[2] = {0, 1};

static int fails(const char *call)
{
    const char *name = getenv("NVML_FAILS");
    return name != NULL && strcmp(name, call) == 0;
}

#define GPU(device) (*(int *)(device))
#define MAY_FAIL(device, call) if (GPU(device) == 1 && fails(call)) return UNKNOWN

int nvmlInitWithFlags(unsigned int flags)
{
    (void)flags;
    if (getenv("NVML_HANGS") != NULL)
        for (;;)
            pause();
    return fails("init") ? 9 : SUCCESS;
}
int nvmlShutdown(void) { return SUCCESS; }

const char *nvmlErrorString(int code)
{
    return code == NOT_SUPPORTED ? "Not Supported" : code == 9 ? "Driver Not Loaded" : "Unknown Error";
}

int nvmlSystemGetDriverVersion(char *text, unsigned int length)
{
    snprintf(text, length, "550.54.15");
    return SUCCESS;
}

int nvmlSystemGetCudaDriverVersion_v2(int *version)
{
    if (fails("cuda"))
        return UNKNOWN;
    *version = 12040;
    return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device)
{
    if (index == 1 && fails("handle"))
        return UNKNOWN;
    *device = &handles[index];
    return SUCCESS;
}

int nvmlDeviceGetName(void *device, char *text, unsigned int length)
{
    MAY_FAIL(device, "name");
    snprintf(text, length, GPU(device) ? "Stand-in B200" : "Stand-in H100");
    return SUCCESS;
}

int nvmlDeviceGetUUID(void *device, char *text, unsigned int length)
{
    MAY_FAIL(device, "uuid");
    snprintf(text, length, "GPU-0000000%d", GPU(device));
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(void *device, memory_t *memory)
{
    MAY_FAIL(device, "memory");
    memory->total = 80ULL << 30;
    memory->used = (GPU(device) + 1ULL) * (8ULL << 30);
    memory->free = memory->total - memory->used;
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(void *device, utilization_t *rates)
{
    MAY_FAIL(device, "utilization");
    rates->gpu = 90 + GPU(device);
    rates->memory = 40;
    return SUCCESS;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned int *milliwatts)
{
    if (GPU(device) == 1)
        return NOT_SUPPORTED;
    *milliwatts = 350500;
    return SUCCESS;
}

int nvmlDeviceGetTemperature(void *device, unsigned int sensor, unsigned int *celsius)
{
    (void)sensor;
    MAY_FAIL(device, "temperature");
    *celsius = 60 + GPU(device);
    return SUCCESS;
}
