// The Python module: linear maps.
#include "bindings.h"
#include "ostinato/linear.h"

namespace {

template <class T>
class BoundLinear {
 public:
  BoundLinear(const Array& weight, const Maybe& bias) : linear_(make(weight, bias)) {}

  void run(const Array& x, const Array& output, int num_threads) const {
    if (x.ndim() != 2) throw std::invalid_argument("`x` must be (M, I)");
    const auto rows = static_cast<int64_t>(x.shape(0));
    const auto* from = checked<T>(x, "x", {rows, linear_.depth()});
    auto* to = checked<T>(output, "output", {rows, linear_.columns()});
    nb::gil_scoped_release release;
    linear_.run(from, rows, to, num_threads);
  }

 private:
  static ostinato::Linear<T> make(const Array& weight, const Maybe& bias) {
    if (weight.ndim() != 2 || weight.shape(0) % ostinato::kUnitMultiple || weight.shape(1) % ostinato::kUnitMultiple ||
        !weight.size())
      throw std::invalid_argument("`weight` must be (O, I), both padded to multiples of 16");
    const auto columns = static_cast<int64_t>(weight.shape(0)), depth = static_cast<int64_t>(weight.shape(1));
    return {checked<T>(weight, "weight", {columns, depth}), checked<T>(bias, "bias", {columns}), columns, depth};
  }

  ostinato::Linear<T> linear_;
};

template <class T>
void bind(nb::module_& m, const char* name) {
  using B = BoundLinear<T>;
  nb::class_<B>(m, name)
      .def(nb::init<const Array&, const Maybe&>(), "weight"_a, "bias"_a.none())
      .def("run", &B::run, "x"_a, "output"_a, "num_threads"_a);
}

}  // namespace

void bind_linear(nb::module_& m) {
  bind<float>(m, "Linear32");
  bind<double>(m, "Linear64");
}
