// Python callables that cost what CPython's cheapest calls cost: Cling compiles this against Python.h.
//
//     make_bound   takes no argument, runs on buffers that were checked before
//     make_call    takes x and y, gets their memory through the buffer protocol, checks the sizes
#pragma once

#include <Python.h>

#include <cstddef>
#include <exception>
#include <new>

namespace kplib {

struct Call {
    void (*run)(const void*, const void*, void*, std::ptrdiff_t);
    const char* w;
    Py_ssize_t x_step, y_step;  // bytes of one vector of x and of one result
    bool sequence;              // an argument is any number of vectors, not one
    double macs;                // of one vector
    PyObject* owner;            // keeps the weights (and bound buffers) alive
    const char* x = nullptr;    // bound buffers
    char* y = nullptr;
    Py_ssize_t count = 0, length = 1;
};

// Calls longer than this many multiply-accumulates (some microseconds) let other Python threads run.
inline constexpr double release_gil_macs = 1e5;

// Runs `count` times; false, with a Python exception set, if C++ threw.
inline bool run_all(const Call& call, const char* x, char* y, Py_ssize_t count, Py_ssize_t length) {
    PyThreadState* released = call.macs * double(count) * double(length) > release_gil_macs ? PyEval_SaveThread() : nullptr;
    try {
        for (Py_ssize_t i = 0; i < count; ++i) call.run(call.w, x + i * length * call.x_step, y + i * call.y_step, length);
    } catch (const std::exception& error) {
        if (released) PyEval_RestoreThread(released);
        const bool memory = dynamic_cast<const std::bad_alloc*>(&error) != nullptr;
        PyErr_SetString(memory ? PyExc_MemoryError : PyExc_RuntimeError, error.what());
        return false;
    }
    if (released) PyEval_RestoreThread(released);
    return true;
}

inline PyObject* call_bound(PyObject* capsule, PyObject*) {
    const auto* call = static_cast<const Call*>(PyCapsule_GetPointer(capsule, nullptr));
    if (!call || !run_all(*call, call->x, call->y, call->count, call->length)) return nullptr;
    Py_RETURN_NONE;
}

inline PyObject* call_arrays(PyObject* capsule, PyObject* const* arguments, Py_ssize_t given) {
    const auto* call = static_cast<const Call*>(PyCapsule_GetPointer(capsule, nullptr));
    if (!call) return nullptr;
    if (given != 2) {
        PyErr_Format(PyExc_TypeError, "expected x and y, got %zd arguments", given);
        return nullptr;
    }
    Py_buffer x, y;
    if (PyObject_GetBuffer(arguments[0], &x, PyBUF_SIMPLE) != 0) return nullptr;
    if (PyObject_GetBuffer(arguments[1], &y, PyBUF_WRITABLE) != 0) {
        PyBuffer_Release(&x);
        return nullptr;
    }
    const Py_ssize_t count = y.len / call->y_step;
    const Py_ssize_t length = !call->sequence ? 1 : count > 0 ? x.len / (count * call->x_step) : 0;
    bool done = count * length * call->x_step == x.len && count * call->y_step == y.len;
    if (done)
        done = run_all(*call, static_cast<const char*>(x.buf), static_cast<char*>(y.buf), count, length);
    else
        PyErr_Format(PyExc_ValueError, "x has %zd bytes and y %zd, but one vector has %zd and one result %zd",
                     x.len, y.len, call->x_step, call->y_step);
    PyBuffer_Release(&x);
    PyBuffer_Release(&y);
    if (!done) return nullptr;
    Py_RETURN_NONE;
}

inline void free_call(PyObject* capsule) {
    auto* call = static_cast<Call*>(PyCapsule_GetPointer(capsule, nullptr));
    Py_DECREF(call->owner);
    delete call;
}

inline PyObject* make_function(PyMethodDef* method, Call* call) {
    Py_INCREF(call->owner);
    PyObject* capsule = PyCapsule_New(call, nullptr, free_call);
    if (!capsule) {
        Py_DECREF(call->owner);
        delete call;
        return nullptr;
    }
    PyObject* function = PyCFunction_New(method, capsule);
    Py_DECREF(capsule);
    return function;
}

inline Call* new_call(Py_ssize_t run, Py_ssize_t w, Py_ssize_t x_step, Py_ssize_t y_step, bool sequence,
                      double macs, PyObject* owner) {
    return new Call{reinterpret_cast<void (*)(const void*, const void*, void*, std::ptrdiff_t)>(run),
                    reinterpret_cast<const char*>(w), x_step, y_step, sequence, macs, owner};
}

inline PyObject* make_bound(Py_ssize_t run, Py_ssize_t w, Py_ssize_t x_step, Py_ssize_t y_step, bool sequence,
                            double macs, PyObject* owner, Py_ssize_t x, Py_ssize_t y, Py_ssize_t count,
                            Py_ssize_t length) {
    static PyMethodDef method = {"run", call_bound, METH_NOARGS, "Compute y from x, in place."};
    Call* call = new_call(run, w, x_step, y_step, sequence, macs, owner);
    call->x = reinterpret_cast<const char*>(x);
    call->y = reinterpret_cast<char*>(y);
    call->count = count;
    call->length = length;
    return make_function(&method, call);
}

inline PyObject* make_call(Py_ssize_t run, Py_ssize_t w, Py_ssize_t x_step, Py_ssize_t y_step, bool sequence,
                           double macs, PyObject* owner) {
    static PyMethodDef method = {"call", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(call_arrays)),
                                 METH_FASTCALL, "Compute y (second) from x (first)."};
    return make_function(&method, new_call(run, w, x_step, y_step, sequence, macs, owner));
}

}  // namespace kplib
