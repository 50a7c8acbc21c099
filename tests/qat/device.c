#include "device.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <qat/cpa_cy_im.h>
#include <qat/icp_sal_poll.h>
#include <qat/icp_sal_user.h>

#include "control.h"

#define INSTANCES_MAX 8

struct instance {
    struct request *first, **last;
    uint32_t count;
    CpaCyInstanceNotificationCbFunc notify;
    void *notify_tag;
};

static struct device {
    pthread_mutex_t lock; /* over all below */
    bool failed;          /* somebody polled the events since it went */
    uint32_t count;
    struct instance instances[INSTANCES_MAX];
} device = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Start and end. QAT_STANDIN_CONTROL replaces a card's kernel driver and configuration. */

CpaBoolean icp_sal_userIsQatAvailable(void)
{
    return control_get()->instances > 0 && !control_get()->gone ? CPA_TRUE : CPA_FALSE;
}

CpaStatus icp_sal_userStart(const char *process_name)
{
    (void)process_name;
    if (!icp_sal_userIsQatAvailable())
        return CPA_STATUS_FAIL;
    device.count = control_get()->instances;
    if (device.count > INSTANCES_MAX)
        device.count = INSTANCES_MAX;
    device.failed = false;
    for (uint32_t i = 0; i < device.count; i++)
        device.instances[i] = (struct instance){.last = &device.instances[i].first};
    return CPA_STATUS_SUCCESS;
}

CpaStatus icp_sal_userStop(void)
{
    for (uint32_t i = 0; i < device.count; i++)
        for (struct request *request; (request = device.instances[i].first) != NULL;) {
            device.instances[i].first = request->next;
            free(request);
        }
    device.count = 0;
    control_get()->in_flight = 0;
    return CPA_STATUS_SUCCESS;
}

CpaStatus cpaCyGetNumInstances(Cpa16U *count)
{
    *count = (Cpa16U)device.count;
    return CPA_STATUS_SUCCESS;
}

CpaStatus cpaCyGetInstances(Cpa16U count, CpaInstanceHandle *handles)
{
    if (count > device.count)
        return CPA_STATUS_INVALID_PARAM;
    for (Cpa16U i = 0; i < count; i++)
        handles[i] = &device.instances[i];
    return CPA_STATUS_SUCCESS;
}

CpaStatus cpaCyInstanceGetInfo2(const CpaInstanceHandle handle, CpaInstanceInfo2 *info)
{
    (void)handle;
    *info = (CpaInstanceInfo2){
        .vendorName = "immure",
        .partName = "stand-in for a QAT device",
        .operState = CPA_OPER_STATE_UP,
        .requiresPhysicallyContiguousMemory = CPA_TRUE,
        .isPolled = CPA_TRUE,
    };
    return CPA_STATUS_SUCCESS;
}

CpaStatus cpaCyQueryCapabilities(const CpaInstanceHandle handle, CpaCyCapabilitiesInfo *info)
{
    (void)handle;
    *info = (CpaCyCapabilitiesInfo){
        .rsaSupported = CPA_TRUE, .ecSupported = CPA_TRUE, .ecdsaSupported = CPA_TRUE};
    return CPA_STATUS_SUCCESS;
}

CpaStatus cpaCySetAddressTranslation(const CpaInstanceHandle handle,
                                     CpaVirtualToPhysical translation)
{
    (void)handle, (void)translation;
    return CPA_STATUS_SUCCESS;
}

CpaStatus cpaCyStartInstance(CpaInstanceHandle handle)
{
    (void)handle;
    return CPA_STATUS_SUCCESS;
}

CpaStatus cpaCyStopInstance(CpaInstanceHandle handle)
{
    (void)handle;
    return CPA_STATUS_SUCCESS;
}

/* As from a device whose configuration does not ask for interrupts, which is the default. */
CpaStatus icp_sal_CyGetFileDescriptor(CpaInstanceHandle handle, int *fd)
{
    (void)handle, (void)fd;
    return CPA_STATUS_UNSUPPORTED;
}

/* Events. As with a card, the loss of the device is noticed only when events are polled. */

CpaStatus cpaCyInstanceSetNotificationCb(const CpaInstanceHandle handle,
                                         const CpaCyInstanceNotificationCbFunc notify, void *tag)
{
    struct instance *instance = handle;
    pthread_mutex_lock(&device.lock);
    instance->notify = notify;
    instance->notify_tag = tag;
    pthread_mutex_unlock(&device.lock);
    return CPA_STATUS_SUCCESS;
}

CpaStatus icp_sal_poll_device_events(void)
{
    bool gone = control_get()->gone != 0;
    pthread_mutex_lock(&device.lock);
    bool changed = gone != device.failed;
    device.failed = gone;
    pthread_mutex_unlock(&device.lock);
    for (uint32_t i = 0; changed && i < device.count; i++) {
        struct instance *instance = &device.instances[i];
        if (instance->notify != NULL)
            instance->notify(instance, instance->notify_tag,
                             gone ? CPA_INSTANCE_EVENT_FATAL_ERROR : CPA_INSTANCE_EVENT_RESTARTED);
    }
    return CPA_STATUS_SUCCESS;
}

/* Requests */

static void in_flight_count(void)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < device.count; i++)
        sum += device.instances[i].count;
    control_get()->in_flight = sum;
    if (sum > control_get()->most_in_flight)
        control_get()->most_in_flight = sum;
}

static CpaStatus append(struct instance *instance, struct request *request)
{
    if (device.failed) {
        control_get()->refused++;
        return CPA_STATUS_RESTARTING;
    }
    if (instance->count >= control_get()->ring) {
        control_get()->full++;
        return CPA_STATUS_RETRY;
    }
    *instance->last = request;
    instance->last = &request->next;
    instance->count++;
    control_get()->submitted++;
    in_flight_count();
    return CPA_STATUS_SUCCESS;
}

CpaStatus device_submit(CpaInstanceHandle handle, const struct request *request)
{
    if (request->callback == NULL && request->callback_pair == NULL)
        return CPA_STATUS_UNSUPPORTED; /* the synchronous form, which the engine does not use */
    struct request *copy = malloc(sizeof *copy);
    if (copy == NULL)
        return CPA_STATUS_RESOURCE;
    *copy = *request;
    copy->due = now() + (uint64_t)control_get()->delay * 1000;
    pthread_mutex_lock(&device.lock);
    CpaStatus status = append(handle, copy);
    pthread_mutex_unlock(&device.lock);
    if (status != CPA_STATUS_SUCCESS)
        free(copy);
    return status;
}

/* The next request to answer, or NULL. `failed`: the device went while it was in flight. */
static struct request *take(struct instance *instance, bool *failed)
{
    pthread_mutex_lock(&device.lock);
    struct request *request = instance->first;
    *failed = device.failed;
    if (request != NULL && !device.failed && (control_get()->gone || request->due > now()))
        request = NULL;
    if (request != NULL) {
        instance->first = request->next;
        if (instance->first == NULL)
            instance->last = &instance->first;
        instance->count--;
        in_flight_count();
    }
    pthread_mutex_unlock(&device.lock);
    return request;
}

static enum fault fault_take(void)
{
    uint32_t left = control_get()->faults;
    while (left > 0)
        if (atomic_compare_exchange_weak(&control_get()->faults, &left, left - 1)) {
            control_get()->faulted++;
            return control_get()->fault;
        }
    return FAULT_NONE;
}

static bool request_compute(const struct request *request, bool wrong)
{
    BN_CTX *context = BN_CTX_new();
    if (context == NULL)
        return false;
    BN_CTX_start(context);
    bool good = request->compute(context, request->data, wrong, request->out);
    BN_CTX_end(context);
    BN_CTX_free(context);
    return good;
}

static CpaStatus request_perform(const struct request *request)
{
    enum fault fault = fault_take();
    if (fault == FAULT_FAILURE || !request_compute(request, fault == FAULT_RESULT))
        return CPA_STATUS_FAIL;
    if (fault == FAULT_LENGTH) {
        CpaFlatBuffer *last = request->out[1] != NULL ? request->out[1] : request->out[0];
        last->dataLenInBytes--;
        last->pData[last->dataLenInBytes] ^= 0xff; /* wrong for a reader that ignores the length */
    }
    return CPA_STATUS_SUCCESS;
}

static void request_answer(struct request *request, bool failed)
{
    CpaStatus status = failed ? CPA_STATUS_FAIL : request_perform(request);
    control_get()->answered++;
    if (request->callback_pair != NULL)
        request->callback_pair(request->tag, status, (void *)request->data,
                               status == CPA_STATUS_SUCCESS ? CPA_TRUE : CPA_FALSE, request->out[0],
                               request->out[1]);
    else
        request->callback(request->tag, status, (void *)request->data, request->out[0]);
    free(request);
}

CpaStatus icp_sal_CyPollInstance(CpaInstanceHandle handle, Cpa32U quota)
{
    struct request *request;
    bool failed;
    Cpa32U count = 0;
    for (; (quota == 0 || count < quota) && (request = take(handle, &failed)) != NULL; count++)
        request_answer(request, failed);
    return count > 0 ? CPA_STATUS_SUCCESS : CPA_STATUS_RETRY;
}
