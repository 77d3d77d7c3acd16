/* An extension that takes references and never drops them. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *remember(PyObject *self, PyObject *object)
{
    (void)self;
    Py_INCREF(object);
    Py_RETURN_NONE;
}

static PyObject *describe(PyObject *self, PyObject *number)
{
    (void)self;
    PyObject *description = Py_BuildValue("{s:O,s:[i,i,i]}", "number", number, "parts", 1, 2, 3);
    if (description == NULL)
        return NULL;
    return PyLong_FromSsize_t(PyDict_Size(description)); /* and description is forgotten */
}

static PyMethodDef methods[] = {
    {"describe", describe, METH_O, "Describe a number."},
    {"remember", remember, METH_O, "Take a reference to an object."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "creference", .m_size = -1, .m_methods = methods};

PyMODINIT_FUNC PyInit_creference(void)
{
    return PyModule_Create(&module);
}
