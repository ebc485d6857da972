/*
 *  weight_bounds.cpp
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "weight_bounds.h"

#include <cmath>

#include "compose.hpp"
#include "exceptions.h"

namespace nest
{

void
WeightBounds::get_status( Dictionary& d ) const
{
  d[ "Wmin" ] = Wmin;
  d[ "Wmax" ] = Wmax;
}

void
WeightBounds::set_status( const Dictionary& d, const std::string& synapse )
{
  WeightBounds changed = *this;
  d.update_value( "Wmin", changed.Wmin );
  d.update_value( "Wmax", changed.Wmax );
  if ( not( changed.Wmin <= changed.Wmax ) )
  {
    throw BadProperty(
      String::compose( "Wmin must not exceed Wmax, got %1 and %2 mV ms (%3)", changed.Wmin, changed.Wmax, synapse ) );
  }
  *this = changed;
}

void
WeightBounds::check( const double weight, const std::string& synapse ) const
{
  if ( not std::isfinite( weight ) )
  {
    throw BadProperty( String::compose( "the weight must be a finite number, got %1 (%2)", weight, synapse ) );
  }
  if ( not( Wmin <= weight and weight <= Wmax ) )
  {
    throw BadProperty( String::compose(
      "the weight must lie in [Wmin, Wmax] = [%1, %2] mV ms, got %3 (%4)", Wmin, Wmax, weight, synapse ) );
  }
}

}  // namespace nest
